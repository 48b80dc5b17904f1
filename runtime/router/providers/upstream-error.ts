import { isObject } from '../answers/document.ts';
import { ApiError } from '../errors.ts';
import { badGateway, type Failure } from './failure.ts';

/** An upstream's error, whichever of the shapes in use it has. */
export interface UpstreamError {
  message: string;
  type: string | undefined;
  param: string | undefined;
  code: string | undefined;
}

/**
 * Reads an error body: OpenAI's `{"error": {"message", "type", "param", "code"}}`, a plain `{"error": "Unauthorized"}`, or
 * FastAPI's `{"detail": …}` with a text or a list of problems. Anything else is given back as text, shortened.
 */
function readUpstreamError(body: string): UpstreamError {
  const none = { type: undefined, param: undefined, code: undefined };
  let document: unknown;
  try {
    document = JSON.parse(body);
  } catch {
    return { ...none, message: shorten(body) }; // HTML of a proxy, or nothing
  }
  if (!isObject(document)) return { ...none, message: shorten(body) };
  const { error, detail } = document;
  if (isObject(error)) {
    return {
      message: text(error['message']) ?? shorten(body),
      type: text(error['type']),
      param: text(error['param']),
      code: text(error['code']),
    };
  }
  if (typeof error === 'string') return { ...none, message: error };
  if (typeof detail === 'string') return { ...none, message: detail };
  const problems = Array.isArray(detail) ? detail.filter(isObject).flatMap(({ msg }) => text(msg) ?? []) : [];
  return { ...none, message: problems.length > 0 ? problems.join('; ') : shorten(body) };
}

/** What an answer of another status than 2xx means. `retryAfter` is the header of that name. */
export function statusFailure(backend: string, status: number, body: string, retryAfter: string | undefined): Failure {
  return { ...meaning(backend, status, body, retryAfter), why: `answered with status ${status}` };
}

function meaning(backend: string, status: number, body: string, retryAfter: string | undefined): Omit<Failure, 'why'> {
  if (status >= 300 && status < 400) {
    const error = badGateway(backend, `answered with a redirect (${status}), which is not followed: correct its URL`);
    return { reason: 'Redirected', retry: 'Backend', error };
  }
  const { message, type, param, code } = readUpstreamError(body);
  const said = message === '' ? `answered ${status}` : `answered ${status}: ${message}`;
  const later = retryAfterSeconds(retryAfter);
  // Anthropic answers 400 where the account has nothing left: not the request's fault.
  switch (/credit balance is too low/i.test(message) ? 402 : status) {
    case 400:
    case 409:
    case 413:
    case 415:
    case 422: {
      const tooLong =
        type === 'exceed_context_size_error' || /maximum context length|prompt is too long/i.test(message);
      const error = new ApiError(
        status,
        tooLong ? 'context_length_exceeded' : (nonNumeric(code) ?? 'invalid_request'),
        message === '' ? `backend "${backend}" refused the request` : message,
        param === undefined ? {} : { param },
      );
      return { reason: 'BadRequest', retry: 'Nowhere', error };
    }
    // The backend's own key or model name is wrong: its words (which may repeat a key) are not for clients.
    case 401:
    case 402:
    case 403:
      return {
        reason: 'Refused',
        retry: 'Backend',
        error: badGateway(backend, `refused the router's credentials (${status})`),
      };
    case 404:
    case 405:
    case 501:
      return { reason: 'NotServed', retry: 'Backend', error: badGateway(backend, said) };
    case 429: {
      const error = new ApiError(429, 'rate_limit_exceeded', `backend "${backend}" ${said}`, {
        retryAfterSeconds: later ?? 1,
      });
      return { reason: 'RateLimited', retry: 'Endpoint', error };
    }
    case 503:
    case 529: {
      const error = new ApiError(503, 'backend_overloaded', `backend "${backend}" ${said}`, {
        retryAfterSeconds: later ?? 1,
      });
      return { reason: 'Overloaded', retry: 'Endpoint', error };
    }
    case 504:
      return {
        reason: 'Timeout',
        retry: 'Endpoint',
        error: new ApiError(504, 'backend_timeout', `backend "${backend}" ${said}`),
      };
    default:
      return { reason: 'ServerError', retry: 'Endpoint', error: badGateway(backend, said) };
  }
}

/**
 * What an error inside of a stream of status 200 means (vLLM refuses so when its queue is full, providers when they are
 * overloaded): the same as an answer of the status that it names, else 500.
 */
export function eventFailure(backend: string, event: string): Failure {
  const { code, type, message } = readUpstreamError(event);
  const named = Number(code);
  const busy = /overloaded|unavailable|capacity|busy/i.test(`${type} ${code} ${message}`);
  const limited = /rate_limit|quota/i.test(`${type} ${code}`);
  const denied = /api_key|authentication|permission|billing/i.test(`${type} ${code}`);
  const wrong = /invalid_request/i.test(`${type}`);
  const isNamed = Number.isInteger(named) && named >= 400 && named < 600;
  const status = isNamed ? named : denied ? 401 : limited ? 429 : busy ? 503 : wrong ? 400 : 500;
  return { ...meaning(backend, status, event, undefined), why: `answered with an error, as of status ${status}` };
}

/** Seconds or an HTTP date (RFC 9110, section 10.2.3), at most an hour. */
function retryAfterSeconds(header: string | undefined): number | undefined {
  if (header === undefined) return undefined;
  const seconds = /^\d+$/.test(header) ? Number(header) : Math.ceil((Date.parse(header) - Date.now()) / 1000);
  return Number.isFinite(seconds) ? Math.min(Math.max(seconds, 0), 3600) : undefined;
}

function text(value: unknown): string | undefined {
  if (typeof value === 'number') return String(value);
  return typeof value === 'string' && value !== '' ? value : undefined;
}

function nonNumeric(code: string | undefined): string | undefined {
  return code === undefined || /^\d+$/.test(code) ? undefined : code;
}

function shorten(body: string): string {
  const line = body.replaceAll(/\s+/g, ' ').trim();
  return line.length > 300 ? `${line.slice(0, 300)}…` : line;
}
