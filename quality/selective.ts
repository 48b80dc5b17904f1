import { type Proportion, proportion } from './interval.ts';
import type { ScoredAnswer } from './prediction.ts';

/** What a threshold on the confidence keeps. */
export interface RiskCoveragePoint {
  /** Answers at or above this confidence are kept. */
  threshold: number;
  /** The share of all answers that is kept, above 0 to 1. */
  coverage: number;
  /** The share of wrong answers among those kept. */
  risk: number;
}

/** Answers with the same confidence: no threshold can tell them apart. */
interface Tie {
  confidence: number;
  count: number;
  wrong: number;
}

/**
 * Risk against coverage, a point for each threshold that keeps something, least coverage first. Source: El-Yaniv and Wiener,
 * Journal of Machine Learning Research 11, 2010.
 */
export function riskCoverageCurve(answers: readonly ScoredAnswer[]): RiskCoveragePoint[] {
  let kept = 0;
  let wrong = 0;
  return ties(answers).map((tie) => {
    kept += tie.count;
    wrong += tie.wrong;
    return { threshold: tie.confidence, coverage: kept / answers.length, risk: wrong / kept };
  });
}

/**
 * The share of wrong answers among the most confident `coverage` of all (rounded to whole answers): the risk where the rest
 * is escalated. Where the border runs through answers of equal confidence, which of them are kept is chance, and the risk
 * is its expectation. 0 where nothing is kept.
 */
export function riskAtCoverage(answers: readonly ScoredAnswer[], coverage: number): number {
  if (!(coverage >= 0 && coverage <= 1)) throw new RangeError(`a coverage is between 0 and 1, not ${coverage}`);
  const keep = Math.round(coverage * answers.length);
  return keep === 0 ? 0 : (expectedErrors(answers)[keep] as number) / keep;
}

/** {@link riskAtCoverage} as a count with its Wilson interval; an expected error that isn't whole is rounded up. */
export function riskIntervalAtCoverage(answers: readonly ScoredAnswer[], coverage: number): Proportion {
  const keep = Math.round(coverage * answers.length);
  // The sum of fractions may miss a whole number by a hair, and zero must not be -0.
  return proportion(Math.max(0, Math.ceil(riskAtCoverage(answers, coverage) * keep - 1e-9)), keep);
}

/**
 * The area under the risk-coverage curve: the mean over k = 1…n of the risk among the k most confident answers, 0 to 1, less
 * is better. NaN of no answers. Source: Geifman, Uziel and El-Yaniv, ICLR 2019.
 */
export function areaUnderRiskCoverage(answers: readonly ScoredAnswer[]): number {
  const sum = expectedErrors(answers).reduce((total, errors, kept) => (kept === 0 ? 0 : total + errors / kept), 0);
  return sum / answers.length;
}

/**
 * The wrong answers among the k most confident, for k = 0…n: whole numbers but inside ties, where it is the expectation over
 * every order of equals.
 */
export function expectedErrors(answers: readonly ScoredAnswer[]): number[] {
  const errors = [0];
  let before = 0;
  for (const { count, wrong } of ties(answers)) {
    for (let kept = 1; kept <= count; kept++) errors.push(before + (wrong * kept) / count);
    before += wrong;
  }
  return errors;
}

/** Answers by confidence, the most confident first. */
function ties(answers: readonly ScoredAnswer[]): Tie[] {
  const groups: Tie[] = [];
  for (const { confidence, correct } of answers.toSorted((a, b) => b.confidence - a.confidence)) {
    let last = groups.at(-1);
    if (last?.confidence !== confidence) groups.push((last = { confidence, count: 0, wrong: 0 }));
    last.count++;
    if (!correct) last.wrong++;
  }
  return groups;
}
