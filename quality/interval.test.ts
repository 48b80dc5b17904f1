import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { accuracy, normalQuantile, proportion, wilsonInterval } from './interval.ts';

describe('the Wilson interval', () => {
  it.each([
    [0, 10, 0, 0.2775],
    [5, 10, 0.2366, 0.7634],
    [10, 10, 0.7225, 1],
    [81, 263, 0.2553, 0.3662],
    [15, 148, 0.0624, 0.1605],
  ])('of %i in %i is [%f, %f], as printed in the literature', (successes, n, low, high) => {
    const interval = wilsonInterval(successes, n);
    expect(interval.low).toBeCloseTo(low, 4);
    expect(interval.high).toBeCloseTo(high, 4);
  });

  it('of nothing counted is everything', () => {
    expect(wilsonInterval(0, 0)).toEqual({ low: 0, high: 1 });
    expect(proportion(0, 0).value).toBeNaN();
  });

  it('refuses what is no count', () => {
    for (const [successes, n] of [
      [3, 2],
      [-1, 2],
      [0.5, 2],
      [1, Number.NaN],
    ] as const)
      expect(() => wilsonInterval(successes, n)).toThrow(RangeError);
    expect(() => wilsonInterval(1, 2, 1)).toThrow('a confidence is between 0 and 1, not 1');
  });

  const counts = fc
    .integer({ min: 1, max: 5000 })
    .chain((n) => fc.tuple(fc.integer({ min: 0, max: n }), fc.constant(n)));

  it('holds the share that was counted, within 0 and 1', () => {
    fc.assert(
      fc.property(counts, ([successes, n]) => {
        const { value, low, high } = proportion(successes, n);
        expect(low).toBeGreaterThanOrEqual(0);
        expect(low).toBeLessThanOrEqual(value);
        expect(high).toBeGreaterThanOrEqual(value);
        expect(high).toBeLessThanOrEqual(1);
      }),
    );
  });

  it('of failures mirrors that of successes', () => {
    fc.assert(
      fc.property(counts, ([successes, n]) => {
        const right = wilsonInterval(successes, n);
        const wrong = wilsonInterval(n - successes, n);
        expect(right.low).toBeCloseTo(1 - wrong.high, 10);
        expect(right.high).toBeCloseTo(1 - wrong.low, 10);
      }),
    );
  });

  it('is narrower with more samples and with less confidence', () => {
    const width = (...args: Parameters<typeof wilsonInterval>): number => {
      const { low, high } = wilsonInterval(...args);
      return high - low;
    };
    expect(width(90, 100)).toBeGreaterThan(width(900, 1000));
    expect(width(90, 100, 0.99)).toBeGreaterThan(width(90, 100, 0.9));
  });

  it('of answers counts the right ones', () => {
    expect(accuracy([{ correct: true }, { correct: false }, { correct: true }])).toMatchObject({ successes: 2, n: 3 });
  });
});

describe('the normal quantile', () => {
  it.each([
    [0.975, 1.959963984540054],
    [0.95, 1.6448536269514722],
    [0.5, 0],
    [0.001, -3.090232306167813],
  ])('of %f is %f', (p, x) => {
    expect(normalQuantile(p)).toBeCloseTo(x, 7);
  });
});
