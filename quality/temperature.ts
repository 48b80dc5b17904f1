import { grouped, type Prediction } from './prediction.ts';

/** The least probability that a likelihood is taken of: a label that an engine did not name has none at all. */
const leastProbability = 1e-9;

/** The temperatures among which the best is looked for. */
export const temperatureRange = { low: 0.05, high: 20 };

/**
 * Probabilities at a temperature T: pᵢ^(1/T), made to sum to 1 again, which is softmax(logits / T). Above 1 they become more
 * alike, below 1 less; their order stays, and zero stays zero. Source: Guo et al., "On Calibration of Modern Neural
 * Networks", ICML 2017 (https://arxiv.org/abs/1706.04599), section 4.2.
 *
 * @throws RangeError for a temperature that is not above 0.
 */
export function withTemperature(probabilities: ArrayLike<number>, temperature: number): Float64Array {
  if (!(temperature > 0)) throw new RangeError(`a temperature is above 0, not ${temperature}`);
  const tempered = Float64Array.from(probabilities);
  if (temperature === 1) return tempered;
  let most = 0;
  for (const p of tempered) if (p > most) most = p;
  if (most === 0) return tempered;
  let sum = 0;
  for (let label = 0; label < tempered.length; label++) {
    // Relative to the greatest, whose power is 1 at any temperature: the sum cannot vanish.
    const power = ((tempered[label] as number) / most) ** (1 / temperature);
    tempered[label] = power;
    sum += power;
  }
  for (let label = 0; label < tempered.length; label++) tempered[label] = (tempered[label] as number) / sum;
  return tempered;
}

/** Predictions at a temperature. */
export function atTemperature(predictions: readonly Prediction[], temperature: number): Prediction[] {
  return predictions.map(({ truth, probabilities }) => ({
    truth,
    probabilities: withTemperature(probabilities, temperature),
  }));
}

/**
 * The mean negative log-likelihood of the true labels, in nats: −(1/n)·Σ ln p(truth). A probability below 1e-9 counts as
 * that. NaN of no predictions.
 */
export function negativeLogLikelihood(predictions: readonly Prediction[]): number {
  const sum = predictions.reduce(
    (total, { truth, probabilities }) => total - Math.log(Math.max(probabilities[truth] ?? 0, leastProbability)),
    0,
  );
  return sum / predictions.length;
}

/**
 * The one temperature at which predictions give their true labels the highest likelihood; fit it on data that neither
 * trained nor tests the model. With `groupOf`, the temperature is that of the labels, and the likelihood that of their
 * groups (the probabilities are tempered and then summed, as the router does). Looks through a logarithmic grid of
 * {@link temperatureRange} and then by golden section around its best, so that the same predictions give the same
 * temperature; exact to 0.001 %. Source: Guo et al., ICML 2017.
 *
 * @throws RangeError where there are no predictions.
 */
export function fitTemperature(predictions: readonly Prediction[], groupOf?: readonly number[]): number {
  if (predictions.length === 0) throw new RangeError('a temperature cannot be fitted without predictions');
  const loss = (logarithm: number): number => {
    const tempered = atTemperature(predictions, Math.exp(logarithm));
    return negativeLogLikelihood(groupOf ? grouped(tempered, groupOf) : tempered);
  };
  const from = Math.log(temperatureRange.low);
  const step = (Math.log(temperatureRange.high) - from) / 48;
  let best = 0;
  let least = Infinity;
  for (let index = 0; index <= 48; index++) {
    const here = loss(from + index * step);
    if (here < least) [least, best] = [here, index];
  }
  const between = goldenSection(loss, from + Math.max(0, best - 1) * step, from + Math.min(48, best + 1) * step);
  // The search never gets quite to an end of the range, where the best may be.
  return Math.exp(loss(between) <= least ? between : from + best * step);
}

/** Where a function with one valley has its least value, to 0.00001. Source: J. Kiefer, Proceedings of the AMS 4, 1953. */
function goldenSection(loss: (x: number) => number, low: number, high: number): number {
  const ratio = (Math.sqrt(5) - 1) / 2;
  let [a, b] = [low, high];
  let [c, d] = [b - ratio * (b - a), a + ratio * (b - a)];
  let [atC, atD] = [loss(c), loss(d)];
  while (b - a > 1e-5) {
    if (atC <= atD) {
      [b, d, atD] = [d, c, atC];
      c = b - ratio * (b - a);
      atC = loss(c);
    } else {
      [a, c, atC] = [c, d, atD];
      d = a + ratio * (b - a);
      atD = loss(d);
    }
  }
  return (a + b) / 2;
}
