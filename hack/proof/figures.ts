import { expectedCalibrationError, type ReliabilityBin, reliabilityBins } from '../../quality/calibration.ts';
import { type HybridPoint, hybrid } from '../../quality/hybrid.ts';
import { accuracy, type Proportion } from '../../quality/interval.ts';
import { compared, type PairedComparison } from '../../quality/paired.ts';
import { grouped, type Prediction, type ScoredAnswer, scoredAnswer } from '../../quality/prediction.ts';
import { areaUnderRiskCoverage, riskAtCoverage, riskIntervalAtCoverage } from '../../quality/selective.ts';
import { atTemperature, fitTemperature, negativeLogLikelihood } from '../../quality/temperature.ts';

/** The two questions that are asked about each message. */
export type Question = 'queues' | 'intents';

/** What one model said about the messages, for one of the questions. */
export interface Contender {
  /** e.g. `specialist`; the same for both questions */
  key: string;
  /** What readers call it. */
  name: string;
  question: Question;
  /** The temperature is fitted on these alone. */
  validation: readonly Prediction[];
  test: readonly Prediction[];
  /** Where labels are summed: the group of every label. The temperature is then that of the labels, as in the router. */
  groupOf?: readonly number[];
  cost?: Cost;
}

/** What a message takes, over the test messages. */
export interface Cost {
  medianMilliseconds: number;
  p95Milliseconds?: number;
  /** Means. `cached` of the prompt's tokens were known from the message before. */
  tokens?: { prompt: number; cached: number; completion: number };
}

/** Everything that is told of one contender. Shares are between 0 and 1. */
export interface ContenderFigures {
  key: string;
  name: string;
  question: Question;
  accuracy: Proportion;
  temperature: number;
  /** Before and after the temperature. */
  calibrationError: { raw: number; tempered: number };
  negativeLogLikelihood: { raw: number; tempered: number };
  reliability: { raw: ReliabilityBin[]; tempered: ReliabilityBin[] };
  /** After the temperature: wrong answers among the most confident 50, 70, 90 %. */
  riskAtCoverage: Record<'50' | '70' | '90', Proportion>;
  areaUnderRiskCoverage: number;
  /** The risk among the most confident 1, 2, … 100 %. */
  riskByPercent: number[];
  hybrid: HybridFigures[];
  cost?: Cost;
}

/** Escalation to a model that does not exist here: its accuracy is assumed. */
export interface HybridFigures {
  assumedAccuracy: number;
  /** The accuracy with 0, 1, … 100 % escalated. */
  accuracyByPercent: number[];
  best: HybridPoint;
  /** The escalated share from which on answers are worse than without escalation; absent: never. */
  worseFrom?: number;
}

/** Two contenders on the same test messages. */
export interface Comparison extends PairedComparison {
  question: Question;
  first: string;
  second: string;
  n: number;
}

const coverages = { '50': 0.5, '70': 0.7, '90': 0.9 };
const assumedAccuracies = [0.88, 0.95];

/** The figures of a contender. */
export function figuresOf(contender: Contender): ContenderFigures {
  const { key, name, question, validation, test, groupOf, cost } = contender;
  const temperature = fitTemperature(validation, groupOf);
  const raw = answersOf(test, 1, groupOf);
  const tempered = answersOf(test, temperature, groupOf);
  const answers = { raw: raw.map(scoredAnswer), tempered: tempered.map(scoredAnswer) };
  const both = <T>(of: (kind: 'raw' | 'tempered') => T): { raw: T; tempered: T } => ({
    raw: of('raw'),
    tempered: of('tempered'),
  });
  return {
    key,
    name,
    question,
    accuracy: accuracy(answers.raw),
    temperature,
    calibrationError: both((kind) => expectedCalibrationError(answers[kind])),
    negativeLogLikelihood: { raw: negativeLogLikelihood(raw), tempered: negativeLogLikelihood(tempered) },
    reliability: both((kind) => reliabilityBins(answers[kind]).filter(({ count }) => count > 0)),
    riskAtCoverage: {
      '50': riskIntervalAtCoverage(answers.tempered, coverages['50']),
      '70': riskIntervalAtCoverage(answers.tempered, coverages['70']),
      '90': riskIntervalAtCoverage(answers.tempered, coverages['90']),
    },
    areaUnderRiskCoverage: areaUnderRiskCoverage(answers.tempered),
    riskByPercent: percents(1).map((coverage) => riskAtCoverage(answers.tempered, coverage)),
    hybrid: assumedAccuracies.map((assumed) => hybridFigures(answers.tempered, assumed)),
    ...(cost ? { cost } : {}),
  };
}

/** The predictions as they are served: at a temperature, then summed by group. */
export function answersOf(
  predictions: readonly Prediction[],
  temperature: number,
  groupOf?: readonly number[],
): readonly Prediction[] {
  const tempered = temperature === 1 ? predictions : atTemperature(predictions, temperature);
  return groupOf ? grouped(tempered, groupOf) : tempered;
}

/** Compares two contenders on the test messages that both were asked, the first of them. */
export function comparison(first: Contender, second: Contender): Comparison {
  const n = Math.min(first.test.length, second.test.length);
  const right = ({ test, groupOf }: Contender): ScoredAnswer[] =>
    answersOf(test.slice(0, n), 1, groupOf).map(scoredAnswer);
  return {
    question: first.question,
    first: first.key,
    second: second.key,
    n,
    ...compared(right(first), right(second)),
  };
}

function hybridFigures(answers: readonly ScoredAnswer[], assumedAccuracy: number): HybridFigures {
  const { curve, best, worseFrom } = hybrid(answers, assumedAccuracy);
  const at = (share: number): number => (curve[Math.round(share * (curve.length - 1))] as HybridPoint).accuracy;
  return {
    assumedAccuracy,
    accuracyByPercent: percents(0).map(at),
    best,
    ...(worseFrom === undefined ? {} : { worseFrom }),
  };
}

/** What a message took, from what each took. Values that were measured for none are left out. */
export function costOf(
  said: readonly { milliseconds: number; promptTokens: number; cachedTokens: number; completionTokens: number }[],
): Cost {
  const mean = (of: (one: (typeof said)[number]) => number): number =>
    said.reduce((sum, one) => sum + of(one), 0) / said.length;
  const times = said.map(({ milliseconds }) => milliseconds).toSorted((a, b) => a - b);
  const quantile = (share: number): number => times[Math.min(times.length - 1, Math.floor(share * times.length))] ?? 0;
  return {
    medianMilliseconds: quantile(0.5),
    p95Milliseconds: quantile(0.95),
    tokens: {
      prompt: mean(({ promptTokens }) => promptTokens),
      cached: mean(({ cachedTokens }) => cachedTokens),
      completion: mean(({ completionTokens }) => completionTokens),
    },
  };
}

/** `from` to 100 percent, as shares. */
function percents(from: number): number[] {
  return Array.from({ length: 101 - from }, (_, index) => (from + index) / 100);
}
