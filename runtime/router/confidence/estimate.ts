import { argmax, groupSums } from '../../../quality/prediction.ts';
import { withTemperature } from '../../../quality/temperature.ts';
import { type CompiledLabels, type SharedMass, scorePosition, spreadShared, textAfter } from './label-probabilities.ts';
import type { LabelSet, SpokenLabels } from './label-set.ts';
import type { Position } from './positions.ts';

/** What is known of the probabilities of labels: `probabilities` and the masses of `shared` sum to 1. */
export interface Estimate {
  /** By label. */
  probabilities: Float64Array;
  /** By label: 1 where the probability was seen, 0 where it is a bound. */
  seen: Uint8Array;
  shared: readonly SharedMass[];
}

/** The likeliest answer. */
export interface Verdict {
  /** Index in the set's answers. */
  answer: number;
  /** Its probability, in [0, 1]; undefined: unknown, which is not certain. */
  confidence: number | undefined;
  /** By answer, summing to 1; absent: unknown. */
  probabilities?: readonly number[];
}

/**
 * Follows what was said from token to token until one label is left, and divides the probability at each step: what goes
 * another way stays with the labels there. Undefined where no position told of a label. `within`: indexes of the labels
 * that come into question; absent: all.
 */
export function estimateOf(
  positions: readonly Position[],
  labels: CompiledLabels,
  within?: readonly number[],
): Estimate | undefined {
  const probabilities = new Float64Array(labels.count);
  const seen = new Uint8Array(labels.count);
  const shared: SharedMass[] = [];
  let weight = 1;
  let said = '';
  let left = within;
  let isAny = false;
  for (const [at, { chosen, top }] of positions.entries()) {
    // A model may begin with white space; of its last word the likeliest tokens tell all the same.
    const isBlank = chosen.token.trim() === '' && chosen.token !== '' && !labels.byToken.has(chosen.token);
    if (said === '' && isBlank && at < positions.length - 1) continue;
    const score = scorePosition(top, labels, { chosen, within: left, said });
    if (score.mass === 0) break;
    isAny = true;
    for (let i = 0; i < labels.count; i++) {
      probabilities[i] = (probabilities[i] as number) + weight * (score.probabilities[i] as number);
      if (score.seen[i] === 1) seen[i] = 1;
    }
    for (const one of score.shared)
      if (one !== score.chosen) shared.push({ labels: one.labels, mass: weight * one.mass });
    if (!score.chosen) return { probabilities, seen, shared };
    weight *= score.chosen.mass;
    left = score.chosen.labels;
    said = textAfter(said, chosen.token);
  }
  if (!isAny) return undefined;
  if (left && left !== within) shared.push({ labels: left, mass: weight });
  return { probabilities, seen, shared };
}

/** An estimate in which the mass of some labels (one of its `shared`) is divided as another estimate, of these alone, says. */
export function refine(estimate: Estimate, open: readonly number[], among: Estimate): Estimate {
  const opened = estimate.shared.find(({ labels }) => labels === open);
  if (!opened) return estimate;
  const probabilities = estimate.probabilities.map((p, i) => p + opened.mass * (among.probabilities[i] as number));
  const seen = estimate.seen.map((one, i) => Math.max(one, among.seen[i] as number));
  const within = among.shared.map(({ labels, mass }) => ({ labels, mass: mass * opened.mass }));
  return { probabilities, seen, shared: [...estimate.shared.filter((one) => one !== opened), ...within] };
}

/**
 * The labels (by index) that have to be told apart before the answer is certain to be the likeliest: those that share the
 * most, where that could make another answer the likeliest one. Undefined when nothing can.
 */
export function openLabels(
  { probabilities, seen, shared }: Estimate,
  { answerOf }: SpokenLabels,
): readonly number[] | undefined {
  if (shared.length === 0) return undefined;
  const least = new Map<number, number>();
  const add = (answer: number, p: number): void => void least.set(answer, (least.get(answer) ?? 0) + p);
  for (const [label, p] of probabilities.entries()) if (seen[label] === 1) add(answerOf[label] as number, p);
  const open: { labels: readonly number[]; mass: number; answers: Set<number> }[] = [];
  for (const { labels, mass } of shared) {
    const answers = new Set(labels.map((label) => answerOf[label] as number));
    if (answers.size === 1) add([...answers][0] as number, mass);
    else open.push({ labels, mass, answers });
  }
  const [best, most] = [...least].reduce((a, b) => (b[1] > a[1] ? b : a), [-1, 0]);
  const rivals = new Set(open.flatMap(({ answers }) => [...answers]));
  rivals.delete(best);
  const isOpen = [...rivals].some((answer) => {
    const more = open.reduce((sum, { answers, mass }) => sum + (answers.has(answer) ? mass : 0), 0);
    return (least.get(answer) ?? 0) + more > most;
  });
  return isOpen ? open.reduce((a, b) => (b.mass > a.mass ? b : a)).labels : undefined;
}

/** Tokens that a bias of 100 has not raised are less likely than this beside those that it has, as a logarithm. */
const notRaised = -60;

/**
 * The labels whose tokens the model does not have: of tokens that were all raised by a bias, those that are not told before
 * the first that was not raised. Undefined where the list ends before that.
 */
export function unknownTokens({ top }: Position, { labels }: SpokenLabels): readonly string[] | undefined {
  const raised = new Set<string>();
  for (const { token, logprob } of top) if (logprob > notRaised) raised.add(token);
  if (raised.size === top.length) return undefined;
  return labels.flatMap(({ name, token }) => (token === undefined || raised.has(token) ? [] : name));
}

/**
 * The likeliest answer of those that were seen, and its probability: what labels still share is divided evenly among them,
 * then the temperature, then the sum over each answer's labels.
 */
export function verdictOf(estimate: Estimate, { answerOf }: SpokenLabels, { answers, temperature }: LabelSet): Verdict {
  const probabilities = estimate.probabilities.slice();
  spreadShared(probabilities, estimate.shared);
  const calibrated = withTemperature(probabilities, temperature);
  const sums = groupSums(calibrated, answerOf, answers.length);
  const { seen } = estimate;
  const evidence = seen.includes(0)
    ? groupSums(
        calibrated.map((p, label) => (seen[label] === 1 ? p : 0)),
        answerOf,
        answers.length,
      )
    : sums;
  const answer = argmax(evidence);
  return { answer, confidence: Math.min(1, sums[answer] as number), probabilities: sums };
}
