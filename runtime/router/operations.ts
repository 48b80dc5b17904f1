import type { RouteBackend } from '../../crds/route-table.ts';

/** What clients ask of models. */
export interface Operation {
  name: 'ChatCompletions' | 'Completions' | 'Embeddings';
  /** Below `/v1`, here as at every upstream. */
  path: string;
}

/** A request's body: an object, of which we read few members. */
export type RequestBody = Readonly<Record<string, unknown>>;

export const chatCompletions: Operation = { name: 'ChatCompletions', path: '/chat/completions' };
export const completions: Operation = { name: 'Completions', path: '/completions' };
export const embeddings: Operation = { name: 'Embeddings', path: '/embeddings' };

/** By the path that a client calls. */
export const operations: ReadonlyMap<string, Operation> = new Map(
  [chatCompletions, completions, embeddings].map((operation) => [`/v1${operation.path}`, operation]),
);

/** Whether a backend can do this, as far as we know: an engine serves either embeddings or text. */
export function serves(backend: RouteBackend, operation: Operation): boolean {
  return backend.kind !== 'Model' || (backend.task === 'Embedding') === (operation === embeddings);
}
