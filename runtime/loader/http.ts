import { type Dispatcher, request } from 'undici';
import { errorMessage } from '../../process/errors.ts';
import { loadError } from './report.ts';
import { TransientError } from './retry.ts';

export interface HttpResponse {
  status: number;
  headers: Record<string, string | undefined>;
  body: Dispatcher.ResponseData['body'];
}

export interface HttpClientOptions {
  dispatcher: Dispatcher;
  /** The one origin (scheme, host and port) that may see the token. */
  tokenOrigin: string;
  token?: string | undefined;
  signal: AbortSignal;
}

/** Gives the answer to a GET after redirects. Network failures, 408, 429 and 5xx are thrown as `TransientError`. */
export type HttpGet = (url: string, headers?: Record<string, string>) => Promise<HttpResponse>;

const maxRedirects = 5;
const longestRetryAfterMs = 60_000;

/**
 * A GET that follows at most five redirects, and sends the token to its own origin only. Plain http is for the host that
 * was configured so, and for loopback.
 */
export function httpGet(options: HttpClientOptions): HttpGet {
  return async (from, headers = {}) => {
    let url = new URL(from);
    for (let redirects = 0; ; redirects++) {
      const response = await getOnce(url, headers, options);
      const location = response.headers['location'];
      if (response.status < 300 || response.status > 399 || location === undefined) return settled(response, url);
      await response.body.dump();
      if (redirects === maxRedirects)
        throw loadError('DownloadFailed', `${from} redirects more than ${maxRedirects} times; use the final address`);
      url = redirectTarget(url, location, options.tokenOrigin);
    }
  };
}

async function getOnce(url: URL, headers: Record<string, string>, options: HttpClientOptions): Promise<HttpResponse> {
  const { dispatcher, token, tokenOrigin, signal } = options;
  const authorization = token !== undefined && url.origin === tokenOrigin ? { authorization: `Bearer ${token}` } : {};
  try {
    const {
      statusCode,
      headers: got,
      body,
    } = await request(url, {
      dispatcher,
      signal,
      headersTimeout: 30_000,
      bodyTimeout: 60_000,
      // The size and the hash are those of the file, not of a compressed form of it.
      headers: { 'user-agent': 'cadre-loader', 'accept-encoding': 'identity', ...headers, ...authorization },
    });
    return { status: statusCode, headers: single(got), body };
  } catch (error) {
    signal.throwIfAborted();
    throw new TransientError(`GET ${shown(url)}: ${errorMessage(error)}`, { cause: error });
  }
}

async function settled(response: HttpResponse, url: URL): Promise<HttpResponse> {
  const { status, headers, body } = response;
  if (status !== 408 && status !== 429 && status < 500) return response;
  await body.dump();
  throw new TransientError(`GET ${shown(url)}: status ${status}`, { retryAfterMs: retryAfter(headers['retry-after']) });
}

function redirectTarget(from: URL, location: string, configured: string): URL {
  const to = URL.parse(location, from.href);
  if (to === null || (to.protocol !== 'https:' && to.protocol !== 'http:') || to.username !== '' || to.password !== '')
    throw loadError('DownloadFailed', `${shown(from)} redirects to an address that is not https; ask its owner`);
  const plainAllowed = to.origin === configured || (isLoopback(to.hostname) && from.protocol === 'http:');
  if (to.protocol === 'http:' && !plainAllowed)
    throw loadError(
      'DownloadFailed',
      `${shown(from)} redirects to plain http (${to.host}), which is refused; ask its owner`,
    );
  return to;
}

function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127(\.\d+){3}$/.test(hostname);
}

/** Without the query, in which content networks carry signatures that grant access. */
function shown(url: URL): string {
  return `${url.origin}${url.pathname}`;
}

/** `Retry-After` in seconds or as a date, in milliseconds from now; undefined when there is none to be kept. */
function retryAfter(value: string | undefined): number | undefined {
  if (value === undefined) return undefined;
  const milliseconds = /^\d+$/.test(value) ? Number(value) * 1000 : Date.parse(value) - Date.now();
  return Number.isFinite(milliseconds) ? Math.min(longestRetryAfterMs, Math.max(0, milliseconds)) : undefined;
}

function single(headers: Dispatcher.ResponseData['headers']): Record<string, string | undefined> {
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name, Array.isArray(value) ? value.join(', ') : value]),
  );
}
