import type { Condition } from '../crds/schema.ts';

/** What the reason of a condition means. */
export interface Reason {
  /** The spec itself is refused: `Accepted=False`, and what is in place already stays as it is. */
  refused: boolean;
  /** Nothing but a person ends it: `Stalled=True`. Otherwise it may end by itself: `Reconciling=True`. */
  stalled: boolean;
  description: string;
  cure: string;
}

/** A condition as it should read now. */
export type Verdict = Pick<Condition, 'type' | 'status' | 'reason' | 'message'>;

/** Longest message, in characters. The CRDs take 32768; what repeats the words of a spec or of a log may be longer. */
const longestMessage = 4096;

/**
 * The conditions to write: `lastTransitionTime` moves only when the status of a condition does, so that nothing is written
 * while nothing happens. Conditions without a verdict disappear: those that are abnormal when true are absent when normal.
 *
 * @param now milliseconds since the epoch
 */
export function nextConditions(
  before: readonly Condition[] | undefined,
  verdicts: readonly Verdict[],
  generation: number,
  now: number,
): Condition[] {
  return verdicts.map(({ type, status, reason, message }) => {
    const last = before?.find((condition) => condition.type === type);
    const lastTransitionTime = last?.status === status ? last.lastTransitionTime : rfc3339(now);
    const shown = message.length > longestMessage ? `${message.slice(0, longestMessage - 1)}…` : message;
    return { type, status, reason, message: shown.toWellFormed(), lastTransitionTime, observedGeneration: generation };
  });
}

/** To the second, as Kubernetes writes times. */
function rfc3339(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19)}Z`;
}
