import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { expectedCalibrationError, reliabilityBins } from './calibration.ts';
import { answers } from './testing/arbitraries.ts';

const many = (n: number, right: number, confidence: number): { confidence: number; correct: boolean }[] =>
  Array.from({ length: n }, (_, index) => ({ confidence, correct: index < right }));

describe('reliability bins', () => {
  it('hold every answer once, 1 in the last', () => {
    fc.assert(
      fc.property(answers, (some) => {
        const bins = reliabilityBins(some);
        expect(bins.length).toBe(15);
        expect(bins.reduce((sum, { count }) => sum + count, 0)).toBe(some.length);
        expect(bins.at(-1)?.high).toBe(1);
      }),
    );
  });

  it('tell mean confidence and accuracy, with its interval', () => {
    const bin = reliabilityBins(many(10, 8, 0.85), 10)[8];
    expect(bin).toMatchObject({ count: 10, low: 0.8, high: 0.9, accuracy: 0.8 });
    expect(bin?.confidence).toBeCloseTo(0.85, 12);
    expect(bin?.interval.low).toBeLessThan(0.8);
  });

  it('refuse a confidence that is none', () => {
    expect(() => reliabilityBins([{ confidence: 1.2, correct: true }])).not.toThrow();
    expect(() => reliabilityBins([{ confidence: -0.2, correct: true }])).toThrow(RangeError);
    expect(() => reliabilityBins([{ confidence: Number.NaN, correct: true }])).toThrow(RangeError);
  });
});

describe('the expected calibration error', () => {
  it('is 0 where confidence is accuracy', () => {
    expect(expectedCalibrationError([...many(10, 8, 0.8), ...many(10, 5, 0.5)])).toBeCloseTo(0, 12);
    expect(expectedCalibrationError([])).toBe(0);
  });

  it('is the distance between them, weighted by how many there are', () => {
    expect(expectedCalibrationError([...many(30, 15, 0.9), ...many(10, 10, 0.3)])).toBeCloseTo(
      0.75 * 0.4 + 0.25 * 0.7,
      12,
    );
  });

  it('lies between 0 and 1', () => {
    fc.assert(
      fc.property(answers, (some) => {
        const error = expectedCalibrationError(some);
        expect(error).toBeGreaterThanOrEqual(0);
        expect(error).toBeLessThanOrEqual(1);
      }),
    );
  });
});
