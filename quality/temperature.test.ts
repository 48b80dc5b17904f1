import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { argmax, groupSums, type Prediction } from './prediction.ts';
import {
  atTemperature,
  fitTemperature,
  negativeLogLikelihood,
  temperatureRange,
  withTemperature,
} from './temperature.ts';
import { distribution, predictions, sparseDistribution } from './testing/arbitraries.ts';

const temperatures = fc.double({ min: 0.1, max: 10, noNaN: true });

/** Predictions whose probabilities are true: of each label's share of the truths, as many as it says. */
const calibrated: Prediction[] = [
  [0.7, 0.2, 0.1],
  [0.1, 0.4, 0.5],
  [0.3, 0.6, 0.1],
].flatMap((probabilities) =>
  probabilities.flatMap((share, truth) =>
    Array.from({ length: Math.round(share * 100) }, () => ({ truth, probabilities })),
  ),
);

describe('a temperature', () => {
  it('of 1 changes nothing, above makes alike, below makes sure', () => {
    expect([...withTemperature([0.8, 0.2], 1)]).toEqual([0.8, 0.2]);
    expect(withTemperature([0.8, 0.2], 2)[0]).toBeCloseTo(2 / 3, 12);
    expect(withTemperature([0.8, 0.2], 0.5)[0]).toBeCloseTo(16 / 17, 12);
    expect(withTemperature([0.9, 0.1], 2)[0]).toBeCloseTo(0.75, 12);
    expect(withTemperature([0.75, 0.25], 0.5)[0]).toBeCloseTo(0.9, 12);
  });

  it('of 1 changes nothing of any probabilities', () => {
    fc.assert(
      fc.property(sparseDistribution, (probabilities) => {
        expect([...withTemperature(probabilities, 1)]).toEqual(probabilities);
      }),
    );
  });

  it('keeps the sum and the likeliest label where others have no probability', () => {
    fc.assert(
      fc.property(sparseDistribution, fc.double({ min: 0.05, max: 20, noNaN: true }), (probabilities, temperature) => {
        const tempered = withTemperature(probabilities, temperature);
        expect(tempered.reduce((a, b) => a + b)).toBeCloseTo(1, 9);
        expect(tempered[argmax(probabilities)]).toBe(Math.max(...tempered));
      }),
    );
  });

  it('keeps the sum and the likeliest label', () => {
    fc.assert(
      fc.property(distribution(12), temperatures, (probabilities, temperature) => {
        const tempered = [...withTemperature(probabilities, temperature)];
        expect(tempered.reduce((a, b) => a + b)).toBeCloseTo(1, 9);
        expect(tempered[argmax(probabilities)]).toBe(Math.max(...tempered));
      }),
    );
  });

  it('leaves what has no probability without any, at every temperature', () => {
    expect([...withTemperature([1, 0], 5)]).toEqual([1, 0]);
    expect([...withTemperature([0, 0], 5)]).toEqual([0, 0]);
    expect(withTemperature([0, 0], 1.4)).toEqual(new Float64Array(2));
    expect(withTemperature([1e-300, 2e-300], 0.05)[1]).toBeCloseTo(1, 5);
  });

  it('is above 0', () => {
    for (const wrong of [0, -1, Number.NaN]) expect(() => withTemperature([1], wrong)).toThrow(RangeError);
  });
});

describe('the negative log-likelihood', () => {
  it('is the mean of −ln p of the true labels', () => {
    const two = [
      { truth: 0, probabilities: [0.5, 0.5] },
      { truth: 1, probabilities: [0.75, 0.25] },
    ];
    expect(negativeLogLikelihood(two)).toBeCloseTo((Math.LN2 + Math.log(4)) / 2, 12);
  });

  it('is finite where the truth was given no probability', () => {
    expect(negativeLogLikelihood([{ truth: 1, probabilities: [1, 0] }])).toBeCloseTo(-Math.log(1e-9), 9);
  });
});

describe('the fitted temperature', () => {
  it('of predictions that are true is 1', () => {
    expect(fitTemperature(calibrated)).toBeCloseTo(1, 2);
  });

  it('undoes a temperature that was applied', () => {
    fc.assert(
      fc.property(temperatures, (applied) => {
        expect(fitTemperature(atTemperature(calibrated, applied)) * applied).toBeCloseTo(1, 2);
      }),
      { numRuns: 20 },
    );
  });

  it('gives no higher a loss than 1 does, nor than its neighbours', () => {
    fc.assert(
      fc.property(predictions, (some) => {
        const fitted = fitTemperature(some);
        const loss = (temperature: number): number => negativeLogLikelihood(atTemperature(some, temperature));
        const { low, high } = temperatureRange;
        const others = [1, fitted * 1.1, fitted / 1.1].map((other) => Math.min(high, Math.max(low, other)));
        expect(loss(fitted)).toBeLessThanOrEqual(Math.min(...others.map(loss)) + 1e-6);
      }),
      { numRuns: 30 },
    );
  });

  it('is the greatest there is where what was thought likely never is', () => {
    const wrong = [{ truth: 0, probabilities: [0.001, 0.05, 0.45, 0.499] }];
    expect(fitTemperature(wrong)).toBeCloseTo(temperatureRange.high, 12);
  });

  it('is the least possible where every answer is right', () => {
    const right = [{ truth: 0, probabilities: [0.9, 0.1] }];
    expect(fitTemperature(right)).toBeCloseTo(temperatureRange.low, 2);
  });

  it('can be that of labels whose groups are to be likely', () => {
    // Three labels, two groups, and the truths' shares are those of the groups: only groups are right.
    const groupOf = [0, 1, 1];
    const loss = (temperature: number): number =>
      negativeLogLikelihood(
        atTemperature(calibrated, temperature).map(({ truth, probabilities }) => ({
          truth: groupOf[truth] as number,
          probabilities: groupSums(probabilities, groupOf),
        })),
      );
    const hot = atTemperature(calibrated, 0.5);
    const fitted = fitTemperature(hot, groupOf);
    expect(fitted).toBeCloseTo(2, 1);
    expect(loss(1)).toBeLessThan(loss(0.5));
  });

  it('is not told of nothing', () => {
    expect(() => fitTemperature([])).toThrow('without predictions');
  });
});
