import type { IncomingMessage, ServerResponse } from 'node:http';
import { ApiError } from './errors.ts';
import { principalOf, unauthorized } from './pipeline/authenticate.ts';
import type { RouterContext } from './pipeline/exchange.ts';
import { modelNotFound } from './pipeline/match.ts';
import { type LiveRoute, type Principal, publicNames } from './routes/table.ts';

/**
 * `GET /v1/models` and `/v1/models/NAME`: what the key may use. Throws an `ApiError`: 401, 404, 405; 404 for every other
 * path, too.
 */
export function answerModels(
  path: string,
  requestId: string,
  request: IncomingMessage,
  response: ServerResponse,
  { routes }: RouterContext,
): void {
  const list = path === '/v1/models';
  if (!list && !path.startsWith('/v1/models/')) {
    const shown = path.length > 200 ? `${path.slice(0, 200)}…` : path;
    throw new ApiError(
      404,
      'unknown_url',
      `unknown path ${shown}: the API begins at /v1, e.g. POST /v1/chat/completions`,
    );
  }
  if (request.method !== 'GET' && request.method !== 'HEAD')
    throw new ApiError(405, 'method_not_allowed', `${request.method} ${path} is not supported: use GET`, {
      headers: { allow: 'GET, HEAD' },
    });
  const { table } = routes;
  const { authorization } = request.headers;
  const principal = principalOf(table, authorization) ?? (table.open.routes.size > 0 ? table.open : undefined);
  if (!principal) throw unauthorized(authorization);
  const body = list ? allModels(principal) : oneModel(decode(path.slice('/v1/models/'.length)), principal);
  const bytes = Buffer.from(JSON.stringify(body));
  response.writeHead(200, [
    'content-type',
    'application/json',
    'content-length',
    String(bytes.length),
    'x-request-id',
    requestId,
  ]);
  response.end(request.method === 'HEAD' ? undefined : bytes);
}

function allModels(principal: Principal) {
  return { object: 'list', data: publicNames(principal).map(({ name, live }) => describe(name, live)) };
}

function oneModel(name: string, principal: Principal) {
  const live = principal.routes.get(name);
  if (!live) throw modelNotFound(name, principal);
  return describe(name, live);
}

function describe(name: string, live: LiveRoute) {
  return { id: name, object: 'model', created: live.created, owned_by: live.route.policy.namespace };
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // not an encoding: then it is the name itself, which will not be found
  }
}
