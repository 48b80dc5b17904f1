import type { RouteBackend } from '../../crds/route-table.ts';
import type { Front } from './fronts/front.ts';
import { receiveResponses } from './fronts/responses.ts';

/** What clients ask of models. */
export interface Operation {
  name: 'ChatCompletions' | 'Completions' | 'Embeddings' | 'Classify';
  /** Below `/v1`, here as at every upstream but for `/classify`, which upstreams are asked for in ways of their own. */
  path: string;
}

/** A request's body: an object, of which we read few members. */
export type RequestBody = Readonly<Record<string, unknown>>;

export const chatCompletions: Operation = { name: 'ChatCompletions', path: '/chat/completions' };
export const completions: Operation = { name: 'Completions', path: '/completions' };
export const embeddings: Operation = { name: 'Embeddings', path: '/embeddings' };
export const classifications: Operation = { name: 'Classify', path: '/classify' };

/** A path that clients call. */
export interface Endpoint {
  /** For metrics and the log. */
  name: Operation['name'] | 'Responses';
  operation: Operation;
  /** Makes the operation's request of another API's. Throws an `ApiError`. Undefined: the path is the operation's own. */
  front: ((body: RequestBody) => Translated) | undefined;
}

/** A request of another API, as the operation's own. */
export interface Translated {
  body: RequestBody;
  /** The same in JSON, without what upstreams are not to see. */
  raw: Buffer;
  front: Front;
}

/** By the path that a client calls. */
export const endpoints: ReadonlyMap<string, Endpoint> = new Map<string, Endpoint>([
  ...[chatCompletions, completions, embeddings, classifications].map(
    (operation) => [`/v1${operation.path}`, { name: operation.name, operation, front: undefined }] as const,
  ),
  ['/v1/responses', { name: 'Responses', operation: chatCompletions, front: receiveResponses }],
]);

/** Whether a backend can do this, as far as we know: an engine serves either embeddings or text, Anthropic text only. */
export function serves(backend: RouteBackend, operation: Operation): boolean {
  if (backend.kind === 'Provider') return backend.dialect !== 'Anthropic' || operation !== embeddings;
  return backend.kind !== 'Model' || (backend.task === 'Embedding') === (operation === embeddings);
}
