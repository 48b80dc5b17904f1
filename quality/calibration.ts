import { type Interval, wilsonInterval } from './interval.ts';
import type { ScoredAnswer } from './prediction.ts';

/** The answers whose confidence lies in one part of [0, 1]. */
export interface ReliabilityBin extends Interval {
  count: number;
  /** The mean confidence of its answers; NaN of an empty bin. */
  confidence: number;
  /** The share of its answers that is right; NaN of an empty bin. */
  accuracy: number;
  /** The 95 % Wilson interval of the accuracy. */
  interval: Interval;
}

/**
 * Confidence against accuracy in bins of equal width: [0, 1/bins), …, with 1 in the last. A calibrated model's bins lie on
 * the diagonal. Source: Niculescu-Mizil and Caruana, ICML 2005.
 */
export function reliabilityBins(answers: readonly ScoredAnswer[], bins = 15): ReliabilityBin[] {
  const counts = Array.from({ length: bins }, () => ({ count: 0, confidence: 0, right: 0 }));
  for (const { confidence, correct } of answers) {
    const bin = counts[Math.min(bins - 1, Math.floor(confidence * bins))];
    if (bin === undefined) throw new RangeError(`a confidence is between 0 and 1, not ${confidence}`);
    bin.count++;
    bin.confidence += confidence;
    if (correct) bin.right++;
  }
  return counts.map(({ count, confidence, right }, index) => ({
    low: index / bins,
    high: (index + 1) / bins,
    count,
    confidence: confidence / count,
    accuracy: right / count,
    interval: wilsonInterval(right, count),
  }));
}

/**
 * Expected calibration error: Σ (countᵦ / n)·|accuracyᵦ − confidenceᵦ| over bins of equal width, 0 to 1. 0 of no answers.
 * Of few answers it is biased upward, so compare it only between equally many. Source: Naeini et al., AAAI 2015; Guo et al.,
 * ICML 2017.
 */
export function expectedCalibrationError(answers: readonly ScoredAnswer[], bins = 15): number {
  return reliabilityBins(answers, bins)
    .filter(({ count }) => count > 0)
    .reduce(
      (sum, { count, accuracy, confidence }) => sum + (count / answers.length) * Math.abs(accuracy - confidence),
      0,
    );
}
