import type { ScoredAnswer } from './prediction.ts';
import { expectedErrors } from './selective.ts';

/** How good answers are where the least confident share of them is asked of another model. */
export interface HybridPoint {
  /** The share of requests that is escalated, 0 to 1. */
  escalated: number;
  /** The share of right answers over all requests. */
  accuracy: number;
}

/** A hybrid of a specialist and a model to which it escalates. */
export interface Hybrid {
  /** From nothing escalated to everything, a point for each request. */
  curve: HybridPoint[];
  /** Where accuracy is highest; of equals, the one that escalates least. */
  best: HybridPoint;
  /**
   * The least escalated share from which on every further one gives worse answers than escalating nothing; undefined where
   * even escalating everything does not.
   */
  worseFrom: number | undefined;
}

/**
 * What escalation gives: the k least confident answers are replaced by those of a model that is right with the probability
 * `escalationAccuracy`, whatever the request. That is an assumption: what is hard for one model tends to be hard for another,
 * too. Accuracy(k) = (right among the n−k kept + k·escalationAccuracy) / n; it has its highest point where the specialist's
 * own accuracy on what it would give away next passes `escalationAccuracy`.
 *
 * @throws RangeError where there are no answers or the accuracy is none.
 */
export function hybrid(answers: readonly ScoredAnswer[], escalationAccuracy: number): Hybrid {
  const n = answers.length;
  if (n === 0) throw new RangeError('a hybrid needs answers');
  if (!(escalationAccuracy >= 0 && escalationAccuracy <= 1))
    throw new RangeError(`an accuracy is between 0 and 1, not ${escalationAccuracy}`);
  const errors = expectedErrors(answers);
  const curve = errors
    .map((wrong, kept) => ({
      escalated: (n - kept) / n,
      accuracy: (kept - wrong + (n - kept) * escalationAccuracy) / n,
    }))
    .toReversed();
  const [alone] = curve as [HybridPoint];
  const best = curve.reduce((a, b) => (b.accuracy > a.accuracy + 1e-12 ? b : a));
  const lastGood = curve.findLastIndex(({ accuracy }) => accuracy >= alone.accuracy - 1e-12);
  return { curve, best, worseFrom: curve[lastGood + 1]?.escalated };
}
