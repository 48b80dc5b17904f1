import { ApiError } from '../errors.ts';
import { embeddings, serves } from '../operations.ts';
import type { LiveBackend } from '../routes/table.ts';
import { type Exchange, type RouterContext, set } from './exchange.ts';

/** Whom to ask: one by weight, then those to fall back to. 400 where no backend does what is asked. */
export function split(exchange: Exchange, { random }: RouterContext): void {
  const { backends, fallback } = set(exchange.route, 'route');
  const { operation, model } = exchange;
  const able = backends.filter(({ backend }) => serves(backend, operation));
  if (able.length === 0) {
    const message =
      operation === embeddings
        ? `model "${model}" writes text and makes no embeddings: call /v1/chat/completions or /v1/completions`
        : `model "${model}" makes embeddings only: call /v1/embeddings`;
    throw new ApiError(400, 'unsupported_operation', message, { param: 'model' });
  }
  const chosen = weightedChoice(able, random());
  const others = fallback.filter((live) => live !== chosen && serves(live.backend, operation));
  exchange.candidates = chosen ? [chosen, ...others] : others;
}

/** The backend at `point` (in [0, 1)) of the line on which each one takes a stretch of its weight; undefined if all are 0. */
export function weightedChoice(backends: readonly LiveBackend[], point: number): LiveBackend | undefined {
  let total = 0;
  for (const { weight } of backends) total += weight;
  let left = point * total;
  for (const live of backends) {
    left -= live.weight;
    if (left < 0) return live;
  }
  return undefined;
}
