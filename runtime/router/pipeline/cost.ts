import { costOf } from '../../../economics/price.ts';
import type { FailureReason } from '../providers/failure.ts';
import type { Attempt, Exchange } from './exchange.ts';

/** What became of an attempt, by which its tokens and their cost are counted. */
export type Outcome = 'Accepted' | 'Escalated' | 'Invalid' | 'Failed';

/** `Accepted`: the client got its answer. `Escalated`, `Invalid`: there was one, which was not trusted, or passed no gate. */
export function outcomeOf(attempt: Attempt, { answer }: Pick<Exchange, 'answer'>): Outcome {
  const { failure, held } = attempt;
  if (failure) return failures[failure.reason] ?? 'Failed';
  if (attempt === answer || !held) return 'Accepted';
  return held.score.gate ? 'Invalid' : 'Escalated';
}

/** What failures other than `Failed` say of an answer: one that is not sure enough may be called off before its end. */
const failures: Partial<Record<FailureReason, Outcome>> = { InvalidOutput: 'Invalid', LowConfidence: 'Escalated' };

/** Failures before any work was done: nobody bills them. */
const unbilled: ReadonlySet<FailureReason> = new Set([
  'NoEndpoint',
  'QueueFull',
  'QueueTimeout',
  'Unavailable',
  'ConnectFailed',
  'Overloaded',
  'RateLimited',
  'Refused',
  'Redirected',
  'NotServed',
  'AddressRefused',
  'BadRequest',
]);

/** What an attempt cost, in nano-dollars; undefined where tokens or price are unknown, which is not nothing. */
export function costOfAttempt({ backend: { backend }, failure, usage }: Attempt): number | undefined {
  if (!usage) return failure && unbilled.has(failure.reason) ? 0 : undefined;
  if (backend.kind === 'Unavailable' || !backend.price) return undefined;
  return costOf(usage, backend.price);
}

/** What a request cost with all its attempts, in nano-dollars; undefined where that of one is unknown. */
export function costOfAttempts(attempts: readonly Attempt[]): number | undefined {
  let sum = 0;
  for (const attempt of attempts) {
    const cost = costOfAttempt(attempt);
    if (cost === undefined) return undefined;
    sum += cost;
  }
  return sum;
}
