import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { areaUnderRiskCoverage, riskAtCoverage, riskCoverageCurve, riskIntervalAtCoverage } from './selective.ts';
import { answers } from './testing/arbitraries.ts';

/** From the most confident on: right, right, wrong, right, wrong. */
const five = [true, true, false, true, false].map((correct, index) => ({ confidence: 0.9 - index / 10, correct }));

describe('the risk-coverage curve', () => {
  it('tells the risk of what each threshold keeps', () => {
    const curve = riskCoverageCurve(five);
    expect(curve.map(({ coverage }) => coverage)).toEqual([0.2, 0.4, 0.6, 0.8, 1]);
    expect(curve.map(({ risk }) => risk)).toEqual([0, 0, 1 / 3, 1 / 4, 2 / 5]);
  });

  it('has one point for equals, and ends at the error of all', () => {
    fc.assert(
      fc.property(answers, (some) => {
        const curve = riskCoverageCurve(some);
        expect(curve.length).toBe(new Set(some.map(({ confidence }) => confidence)).size);
        expect(curve.at(-1)?.coverage).toBe(1);
        expect(curve.at(-1)?.risk).toBeCloseTo(some.filter(({ correct }) => !correct).length / some.length, 12);
        for (const { threshold, coverage, risk } of curve) {
          const kept = some.filter(({ confidence }) => confidence >= threshold);
          expect(coverage).toBeCloseTo(kept.length / some.length, 12);
          expect(risk).toBeCloseTo(kept.filter(({ correct }) => !correct).length / kept.length, 12);
        }
      }),
    );
  });
});

describe('the risk at a coverage', () => {
  it('is the share of errors among the most confident', () => {
    expect(riskAtCoverage(five, 0.4)).toBe(0);
    expect(riskAtCoverage(five, 0.6)).toBeCloseTo(1 / 3, 12);
    expect(riskAtCoverage(five, 0)).toBe(0);
    expect(riskIntervalAtCoverage(five, 0.6)).toMatchObject({ successes: 1, n: 3 });
    expect(() => riskAtCoverage(five, 1.1)).toThrow(RangeError);
  });

  it('does not depend on the order of equals', () => {
    fc.assert(
      fc.property(answers, fc.double({ min: 0, max: 1, noNaN: true }), (some, coverage) => {
        expect(riskAtCoverage(some.toReversed(), coverage)).toBeCloseTo(riskAtCoverage(some, coverage), 12);
        expect(areaUnderRiskCoverage(some.toReversed())).toBeCloseTo(areaUnderRiskCoverage(some), 12);
      }),
    );
  });
});

describe('the area under it', () => {
  it('is the mean risk over all coverages', () => {
    expect(areaUnderRiskCoverage(five)).toBeCloseTo((0 + 0 + 1 / 3 + 1 / 4 + 2 / 5) / 5, 12);
  });

  it('is the error rate where confidence tells nothing, and less where it tells right from wrong', () => {
    fc.assert(
      fc.property(answers, (some) => {
        const error = some.filter(({ correct }) => !correct).length / some.length;
        const blind = some.map(({ correct }) => ({ confidence: 0.5, correct }));
        const telling = some.map(({ correct }) => ({ confidence: correct ? 0.9 : 0.1, correct }));
        expect(areaUnderRiskCoverage(blind)).toBeCloseTo(error, 12);
        expect(areaUnderRiskCoverage(telling)).toBeLessThanOrEqual(areaUnderRiskCoverage(some) + 1e-12);
      }),
    );
  });
});
