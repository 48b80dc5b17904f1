/** A share that was counted, with its confidence interval. All between 0 and 1. */
export interface Proportion {
  value: number;
  low: number;
  high: number;
  successes: number;
  n: number;
}

/** The ends of an interval, between 0 and 1. */
export interface Interval {
  low: number;
  high: number;
}

/**
 * Wilson's score interval of a proportion: (p + z²/2n ± z·√(p(1−p)/n + z²/4n²)) / (1 + z²/n), with z the normal quantile of
 * the two-sided `confidence`. Unlike p ± z·√(p(1−p)/n) it holds near 0 and 1 and for few samples; nothing counted is
 * [0, 1]. For a one-sided bound at 95 % ask for a confidence of 0.9 and read one end. Source: E. B. Wilson, JASA 22, 1927;
 * recommended by Brown, Cai and DasGupta, Statistical Science 16, 2001.
 *
 * @throws RangeError where the counts aren't counts or the confidence isn't between 0 and 1.
 */
export function wilsonInterval(successes: number, n: number, confidence = 0.95): Interval {
  if (!Number.isInteger(successes) || !Number.isInteger(n) || successes < 0 || successes > n)
    throw new RangeError(`${successes} of ${n} is no count of successes`);
  if (!(confidence > 0 && confidence < 1)) throw new RangeError(`a confidence is between 0 and 1, not ${confidence}`);
  if (n === 0) return { low: 0, high: 1 };
  const p = successes / n;
  const z = normalQuantile((1 + confidence) / 2);
  const scale = 1 + (z * z) / n;
  const centre = p + (z * z) / (2 * n);
  const half = z * Math.sqrt((p * (1 - p)) / n + (z * z) / (4 * n * n));
  // At the ends the bound is the end itself, which rounding would miss by a hair.
  return {
    low: successes === 0 ? 0 : (centre - half) / scale,
    high: successes === n ? 1 : (centre + half) / scale,
  };
}

/** A counted share with its Wilson interval. `value` is NaN where nothing was counted. */
export function proportion(successes: number, n: number, confidence = 0.95): Proportion {
  return { value: successes / n, ...wilsonInterval(successes, n, confidence), successes, n };
}

/** The share of right answers with its Wilson interval. */
export function accuracy(answers: readonly { correct: boolean }[], confidence = 0.95): Proportion {
  return proportion(answers.filter(({ correct }) => correct).length, answers.length, confidence);
}

/** Coefficients of P. J. Acklam's rational approximation (2003), lowest power first. */
const central = {
  top: [
    2.506628277459239, -30.66479806614716, 138.357751867269, -275.9285104469687, 220.9460984245205, -39.69683028665376,
  ],
  bottom: [1, -13.28068155288572, 66.80131188771972, -155.6989798598866, 161.5858368580409, -54.47609879822406],
};
const tail = {
  top: [
    2.938163982698783, 4.374664141464968, -2.549732539343734, -2.400758277161838, -0.3223964580411365,
    -0.007784894002430293,
  ],
  bottom: [1, 3.754408661907416, 2.445134137142996, 0.3224671290700398, 0.007784695709041462],
};

/**
 * The standard normal distribution's quantile: the x below which a share `p` of it lies. Error below 1.2e-9 relative
 * (P. J. Acklam, "An algorithm for computing the inverse normal cumulative distribution function", 2003).
 */
export function normalQuantile(p: number): number {
  if (!(p > 0 && p < 1)) throw new RangeError(`a normal quantile needs a share between 0 and 1, not ${p}`);
  if (p > 0.5) return -normalQuantile(1 - p);
  if (p < 0.02425) {
    const q = Math.sqrt(-2 * Math.log(p));
    return polynomial(tail.top, q) / polynomial(tail.bottom, q);
  }
  const q = p - 0.5;
  const r = q * q;
  return (q * polynomial(central.top, r)) / polynomial(central.bottom, r);
}

function polynomial(coefficients: readonly number[], x: number): number {
  return coefficients.reduceRight((sum, coefficient) => sum * x + coefficient, 0);
}
