/** What a classifier said about one input whose true label is known. Labels are indices. */
export interface Prediction {
  /** The index of the true label. */
  truth: number;
  /** One per label, summing to 1. */
  probabilities: ArrayLike<number>;
}

/** An answer as a threshold sees it. */
export interface ScoredAnswer {
  /** The probability that the classifier gives its own answer, 0 to 1. */
  confidence: number;
  correct: boolean;
}

/** The index of the highest probability, the first of equals; -1 of none. */
export function argmax(probabilities: ArrayLike<number>): number {
  let best = -1;
  for (let index = 0; index < probabilities.length; index++)
    if (best < 0 || (probabilities[index] as number) > (probabilities[best] as number)) best = index;
  return best;
}

/**
 * The answer that a prediction amounts to: its likeliest label, with that label's probability. Where no label has any
 * probability there is no answer, and none is not right.
 */
export function scoredAnswer({ truth, probabilities }: Prediction): ScoredAnswer {
  const answer = argmax(probabilities);
  const confidence = probabilities[answer] ?? 0;
  return { confidence, correct: confidence > 0 && answer === truth };
}

/**
 * The same predictions over coarser labels: the probabilities of the labels of one group are summed.
 *
 * @param groupOf The group's index of every label's index.
 */
export function grouped(predictions: readonly Prediction[], groupOf: readonly number[]): Prediction[] {
  return predictions.map(({ truth, probabilities }) => ({
    truth: groupOf[truth] ?? -1,
    probabilities: groupSums(probabilities, groupOf),
  }));
}

/**
 * The sums of probabilities by group: {@link grouped} for one list.
 *
 * @param groupOf The group's index of every label's index.
 * @param count How many groups there are; default: as many as `groupOf` names.
 */
export function groupSums(
  probabilities: ArrayLike<number>,
  groupOf: ArrayLike<number>,
  count = largest(groupOf) + 1,
): number[] {
  const sums: number[] = [];
  for (let group = 0; group < count; group++) sums.push(0);
  for (let label = 0; label < groupOf.length; label++) {
    const group = groupOf[label] as number;
    sums[group] = (sums[group] as number) + (probabilities[label] ?? 0);
  }
  return sums;
}

function largest(indices: ArrayLike<number>): number {
  let most = -1;
  for (let at = 0; at < indices.length; at++) most = Math.max(most, indices[at] as number);
  return most;
}

/**
 * The mean of what several classifiers say about the same input, one opinion each: the linear opinion pool (M. Stone, Annals
 * of Mathematical Statistics 32, 1961).
 *
 * @throws RangeError where they speak of different labels or inputs.
 */
export function pooled(opinions: readonly Prediction[]): Prediction {
  const [first] = opinions;
  if (first === undefined) throw new RangeError('nobody has an opinion');
  const { truth, probabilities } = first;
  if (opinions.some((one) => one.truth !== truth || one.probabilities.length !== probabilities.length))
    throw new RangeError('opinions of different inputs cannot be pooled');
  const mean = (_: number, label: number): number =>
    opinions.reduce((sum, one) => sum + (one.probabilities[label] as number), 0) / opinions.length;
  return { truth, probabilities: Array.from(probabilities, mean) };
}
