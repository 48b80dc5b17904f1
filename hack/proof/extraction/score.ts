import { type Proportion, proportion } from '../../../quality/interval.ts';
import type { ScoredAnswer } from '../../../quality/prediction.ts';
import { areaUnderRiskCoverage, riskIntervalAtCoverage } from '../../../quality/selective.ts';
import { jsonFieldConfidences, type SpokenToken } from '../../../runtime/router/confidence/json-fields.ts';
import { type ExtractionTask, type FieldName, fieldNames, type OrderMessage } from './task.ts';

/** What a model answered to a message. */
export interface Answer {
  text: string;
  tokens: SpokenToken[];
  /** It was cut off, for it did not end by itself. */
  truncated: boolean;
  milliseconds: number;
  promptTokens: number;
  completionTokens: number;
}

/** Errors among the most confident answers. */
export interface SelectiveRisk {
  /** By the share of answers that is kept, in percent. */
  riskAt: Record<string, Proportion>;
  /** Area under the risk-coverage curve, 0 to 1; less is better. */
  area: number;
}

/** How well a model extracts. */
export interface ExtractionFigures {
  /** JSON that the schema accepts. */
  valid: Proportion;
  /** Whole records without a mistake. */
  records: Proportion;
  /** An answer that is not valid has every field wrong. */
  fields: Record<FieldName, Proportion>;
  /** By the confidence of each field; absent where nothing is known of it. */
  fieldRisk?: Record<FieldName, SelectiveRisk>;
  /** By the least confidence of the fields. */
  recordRisk?: SelectiveRisk;
  meanPromptTokens: number;
  meanCompletionTokens: number;
}

const coverages = [50, 70, 80, 90];

/** An answer that is not valid, or of which the engine told no probabilities, is escalated first. */
const unknown = 0;

/** Compares answers with the records that belong to them, one by one. */
export function scoreAnswers(
  messages: readonly OrderMessage[],
  answers: readonly Answer[],
  parse: ExtractionTask['parse'],
): ExtractionFigures {
  if (messages.length !== answers.length)
    throw new RangeError(`${answers.length} answers to ${messages.length} messages`);
  const byField = new Map<FieldName, ScoredAnswer[]>(fieldNames.map((name) => [name, []]));
  const records: ScoredAnswer[] = [];
  let valid = 0;
  for (const [i, { record }] of messages.entries()) {
    const answer = answers[i] as Answer;
    const given = answer.truncated ? undefined : parse(answer.text);
    const { fields } = jsonFieldConfidences(answer.tokens);
    if (given) valid++;
    const scored = fieldNames.map((name): ScoredAnswer => {
      const confidence = given ? (fields.get(name) ?? unknown) : unknown;
      return { confidence, correct: given?.[name] === record[name] };
    });
    for (const [at, name] of fieldNames.entries()) byField.get(name)?.push(scored[at] as ScoredAnswer);
    records.push({
      confidence: Math.min(...scored.map(({ confidence }) => confidence)),
      correct: scored.every(({ correct }) => correct),
    });
  }
  const forFields = <T>(make: (scored: ScoredAnswer[]) => T): Record<FieldName, T> =>
    Object.fromEntries(fieldNames.map((name) => [name, make(byField.get(name) ?? [])])) as Record<FieldName, T>;
  const mean = (of: (answer: Answer) => number): number =>
    answers.reduce((sum, answer) => sum + of(answer), 0) / answers.length;
  return {
    valid: proportion(valid, answers.length),
    records: correctShare(records),
    fields: forFields(correctShare),
    ...(records.some(({ confidence }) => confidence > unknown)
      ? { fieldRisk: forFields(selectiveRisk), recordRisk: selectiveRisk(records) }
      : {}),
    meanPromptTokens: mean(({ promptTokens }) => promptTokens),
    meanCompletionTokens: mean(({ completionTokens }) => completionTokens),
  };
}

function correctShare(scored: ScoredAnswer[]): Proportion {
  return proportion(scored.filter(({ correct }) => correct).length, scored.length);
}

function selectiveRisk(scored: ScoredAnswer[]): SelectiveRisk {
  return {
    riskAt: Object.fromEntries(
      coverages.map((percent) => [String(percent), riskIntervalAtCoverage(scored, percent / 100)]),
    ),
    area: areaUnderRiskCoverage(scored),
  };
}
