/** Two classifiers' answers to the same inputs, compared. */
export interface PairedComparison {
  /** Inputs that only the first answered right. */
  onlyFirst: number;
  /** Inputs that only the second answered right. */
  onlySecond: number;
  bothRight: number;
  bothWrong: number;
  /** Two-sided: the probability of a difference at least this great where both are equally good. */
  p: number;
}

/**
 * McNemar's exact test on answers to the same inputs in the same order.
 *
 * @throws RangeError where there are not equally many.
 */
export function compared(
  first: readonly { correct: boolean }[],
  second: readonly { correct: boolean }[],
): PairedComparison {
  if (first.length !== second.length) throw new RangeError(`${first.length} answers against ${second.length}`);
  const count = (a: boolean, b: boolean): number =>
    first.filter(({ correct }, index) => correct === a && second[index]?.correct === b).length;
  const [onlyFirst, onlySecond] = [count(true, false), count(false, true)];
  return {
    onlyFirst,
    onlySecond,
    bothRight: count(true, true),
    bothWrong: count(false, false),
    p: mcnemarExact(onlyFirst, onlySecond),
  };
}

/**
 * The two-sided p-value of McNemar's exact test: of b + c inputs that one of two classifiers answered right, b are the
 * first's. p = min(1, 2·P(X ≤ min(b, c))) with X binomial (b + c, ½). Source: Q. McNemar, Psychometrika 12, 1947; exact form
 * as in Fagerland, Lydersen and Laake, BMC Medical Research Methodology 13, 2013.
 */
export function mcnemarExact(b: number, c: number): number {
  if (!Number.isInteger(b) || !Number.isInteger(c) || b < 0 || c < 0)
    throw new RangeError(`${b} and ${c} are no counts of answers`);
  const n = b + c;
  const few = Math.min(b, c);
  // ln of the binomial terms, each from the one before: the terms themselves underflow from a thousand inputs on.
  let logTerm = -n * Math.LN2;
  let tail = Math.exp(logTerm);
  for (let k = 1; k <= few; k++) {
    logTerm += Math.log((n - k + 1) / k);
    tail += Math.exp(logTerm);
  }
  return Math.min(1, 2 * tail);
}
