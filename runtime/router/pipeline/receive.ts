import { isUtf8 } from 'node:buffer';
import { isObject } from '../answers/document.ts';
import { ApiError } from '../errors.ts';
import { firstProblem } from '../json/position.ts';
import type { RequestBody } from '../operations.ts';
import { principalOf, unauthorized } from './authenticate.ts';
import type { Exchange, RouterContext } from './exchange.ts';

/** So much of a body that is too large is read and dropped, so that its sender can read the answer; then it is cut off. */
const dropLimitBytes = 64 * 1024 * 1024;

/**
 * Reads the body once, keeps its bytes, parses it once. 400, 413, 415; 503 where others' bodies fill the memory that there is
 * for them; one that does not come is the server's to end. Of a client that may call nothing it keeps nothing, and answers
 * 401: a crowd without keys takes no memory.
 */
export async function receive(exchange: Exchange, context: RouterContext): Promise<void> {
  const { request, table } = exchange;
  const encoding = request.headers['content-encoding'];
  if (encoding !== undefined && encoding !== 'identity') {
    const message = `content-encoding ${encoding} is not supported: send the body uncompressed`;
    throw new ApiError(415, 'unsupported_encoding', message, { close: true });
  }
  const { authorization } = request.headers;
  exchange.principal = principalOf(table, authorization);
  const welcome = exchange.principal !== undefined || table.open.routes.size > 0;
  exchange.raw = await readBody(exchange, context, welcome);
  if (!welcome) throw unauthorized(authorization);
  const body = parseBody(exchange.raw);
  const { model, stream } = body;
  if (typeof model !== 'string' || model === '') {
    const message = `"model" is required and names the model to call${model === undefined ? '' : ', as a string'}`;
    throw new ApiError(400, 'invalid_model', message, { param: 'model' });
  }
  if (stream !== undefined && stream !== null && typeof stream !== 'boolean')
    throw new ApiError(400, 'invalid_type', '"stream" must be true or false', { param: 'stream' });
  exchange.body = body;
  exchange.model = model;
  exchange.stream = stream === true;
  if (exchange.endpoint.front) Object.assign(exchange, exchange.endpoint.front(body));
}

/** Gives the memory of a request's body back. */
export function releaseBody(exchange: Exchange, { metrics }: RouterContext): void {
  metrics.bufferedBytes -= exchange.bufferedBytes;
  exchange.bufferedBytes = 0;
}

function readBody(exchange: Exchange, context: RouterContext, keep: boolean): Promise<Buffer> {
  const { request } = exchange;
  const { config, metrics } = context;
  const limit = config.bodyLimitBytes;
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  const chunks: Buffer[] = [];
  let size = 0;
  let isCrowded = false;
  const tooLarge = () => {
    const message = `the request body is larger than ${limit} bytes`;
    const close = !request.complete;
    return new ApiError(413, 'request_too_large', message, { close });
  };
  request.on('data', (chunk: Buffer) => {
    size += chunk.length;
    if (keep && !isCrowded && size <= limit) {
      chunks.push(chunk);
      metrics.bufferedBytes += chunk.length;
      exchange.bufferedBytes += chunk.length;
      const isAlone = metrics.bufferedBytes === exchange.bufferedBytes;
      isCrowded = !isAlone && metrics.bufferedBytes > config.client.maxBufferedBytes;
    }
    if (isCrowded || size > limit) {
      chunks.length = 0;
      releaseBody(exchange, context);
    }
    if (size > limit + dropLimitBytes) reject(tooLarge());
  });
  request.once('end', () => {
    if (size > limit) reject(tooLarge());
    else if (isCrowded) reject(crowded());
    else resolve(chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks));
  });
  // `close` comes for every request; that of a complete one says nothing.
  const left = () => {
    if (!request.complete) reject(new ApiError(499, 'client_gone', 'the client left before its request was complete'));
  };
  request.once('error', left);
  request.once('close', left);
  return promise;
}

/** The memory for bodies is taken: by the time that its client comes again, or at another replica, there may be some. */
function crowded(): ApiError {
  const message = 'the router holds as many request bodies as it has memory for (client.maxBufferedBytes): try again';
  return new ApiError(503, 'router_overloaded', message, { retryAfterSeconds: 1 });
}

/** Parses a body to an object. Throws an `ApiError` that tells where it is not one. */
function parseBody(raw: Buffer): RequestBody {
  if (raw.length === 0) throw new ApiError(400, 'invalid_json', 'the request has no body: send a JSON object');
  if (!isUtf8(raw)) throw new ApiError(400, 'invalid_json', 'the request body is not UTF-8');
  const text = raw.toString();
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    // The position is ours: V8's message repeats a piece of the body instead, for some mistakes.
    const at = firstProblem(text) ?? { offset: 0, line: 1, column: 1 };
    const what = at.offset === text.length ? 'it ends too early' : 'unexpected character';
    const message = `the request body is not JSON: ${what} at position ${at.offset} (line ${at.line}, column ${at.column})`;
    throw new ApiError(400, 'invalid_json', message);
  }
  if (!isObject(body)) throw new ApiError(400, 'invalid_json', 'the request body must be a JSON object');
  return body;
}
