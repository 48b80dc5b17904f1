import { ApiError } from '../errors.ts';
import { embeddings, serves } from '../operations.ts';
import type { LiveBackend, Share } from '../routes/table.ts';
import { type Exchange, type RouterContext, set } from './exchange.ts';
import { firstMatch } from './rules.ts';
import { stickyChoice, stickyValue } from './sticky.ts';

/** Whom to ask: one by weight, then those to fall back to. 400 where no backend does what is asked. */
export function split(exchange: Exchange, { random }: RouterContext): void {
  const { route, longName, backends, fallback, rules, split: otherwise } = set(exchange.route, 'route');
  const { operation, model } = exchange;
  if (!backends.some(({ backend }) => serves(backend, operation))) {
    const message =
      operation === embeddings
        ? `model "${model}" writes text and makes no embeddings: call /v1/chat/completions or /v1/completions`
        : `model "${model}" makes embeddings only: call /v1/embeddings`;
    throw new ApiError(400, 'unsupported_operation', message, { param: 'model' });
  }
  const rule = rules.length > 0 ? firstMatch(rules, exchange) : undefined;
  exchange.rule = rule?.name;
  const shares = (rule?.split ?? otherwise).filter(({ live }) => serves(live.backend, operation));
  const value = route.sticky && stickyValue(route.sticky, exchange);
  const chosen = value === undefined ? weightedChoice(shares, random()) : stickyChoice(shares, `${longName}\n${value}`);
  const others = fallback.filter((live) => live !== chosen && serves(live.backend, operation));
  exchange.candidates = chosen ? [chosen, ...others] : others;
}

/** The backend at `point` (in [0, 1)) of the line on which each one takes a stretch of its weight; undefined if all are 0. */
export function weightedChoice(shares: readonly Share[], point: number): LiveBackend | undefined {
  let total = 0;
  for (const { weight } of shares) total += weight;
  let left = point * total;
  for (const { live, weight } of shares) {
    left -= weight;
    if (left < 0) return live;
  }
  return undefined;
}
