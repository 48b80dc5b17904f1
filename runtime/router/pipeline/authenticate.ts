import { hash } from 'node:crypto';
import { ApiError } from '../errors.ts';
import type { Principal, RouteTable } from '../routes/table.ts';
import type { Exchange } from './exchange.ts';

/** Finds what the client may call, if its key has not told. 401 for a key that opens nothing, unless the model needs none. */
export function authenticate(exchange: Exchange): void {
  const { table, model, request, principal } = exchange;
  if (principal) return;
  // Clients of open models send some key or other: their SDKs ask for one.
  if (table.open.routes.has(model)) exchange.principal = table.open;
  else throw unauthorized(request.headers.authorization);
}

/** What a request's key opens; undefined without a key that we know. The index is by hash: no comparison leaks a key. */
export function principalOf(table: RouteTable, authorization: string | undefined): Principal | undefined {
  const key = bearer(authorization);
  return key === undefined ? undefined : table.byKey.get(hash('sha256', key));
}

/** 401, as OpenAI answers it, without repeating any of the key. */
export function unauthorized(authorization: string | undefined): ApiError {
  const headers = { 'www-authenticate': 'Bearer' };
  if (bearer(authorization) === undefined) {
    const message = 'no API key: send it as "Authorization: Bearer KEY"';
    return new ApiError(401, 'missing_api_key', message, { headers });
  }
  return new ApiError(401, 'invalid_api_key', 'incorrect API key provided: no route knows it', { headers });
}

/** RFC 6750, section 2.1; the scheme's case does not matter. */
function bearer(authorization: string | undefined): string | undefined {
  if (authorization === undefined || authorization.length < 8) return undefined;
  if (authorization[6] !== ' ' || authorization.slice(0, 6).toLowerCase() !== 'bearer') return undefined;
  return authorization.slice(7).trim();
}
