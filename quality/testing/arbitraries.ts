import * as fc from 'fast-check';
import type { Prediction, ScoredAnswer } from '../prediction.ts';

/** Probabilities of at most `labels` labels, at least one, that sum to 1. */
export function distribution(labels: number): fc.Arbitrary<number[]> {
  return fc.array(fc.integer({ min: 1, max: 1000 }), { minLength: 1, maxLength: labels }).map((weights) => {
    const sum = weights.reduce((a, b) => a + b);
    return weights.map((weight) => weight / sum);
  });
}

/** As `distribution`, with labels that have no probability, and some that have next to none. */
export const sparseDistribution: fc.Arbitrary<number[]> = fc
  .array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: 1, maxLength: 20 })
  .map((weights) => ({ weights, sum: weights.reduce((a, b) => a + b) }))
  .filter(({ sum }) => sum > 1e-3)
  .map(({ weights, sum }) => weights.map((weight) => weight / sum));

export const predictions: fc.Arbitrary<Prediction[]> = fc.array(
  distribution(6).chain((probabilities) =>
    fc.record({
      truth: fc.integer({ min: 0, max: probabilities.length - 1 }),
      probabilities: fc.constant(probabilities),
    }),
  ),
  { minLength: 1, maxLength: 40 },
);

/** With many ties, as they are where a model is sure. */
export const answers: fc.Arbitrary<ScoredAnswer[]> = fc.array(
  fc.record({ confidence: fc.integer({ min: 0, max: 20 }).map((step) => step / 20), correct: fc.boolean() }),
  { minLength: 1, maxLength: 60 },
);
