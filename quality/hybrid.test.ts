import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { hybrid } from './hybrid.ts';
import { answers } from './testing/arbitraries.ts';

/** Ten answers, the two least confident wrong. */
const ten = Array.from({ length: 10 }, (_, index) => ({ confidence: 0.95 - index / 20, correct: index < 8 }));

describe('a hybrid', () => {
  it('goes from the specialist alone to the other model alone', () => {
    fc.assert(
      fc.property(answers, fc.double({ min: 0, max: 1, noNaN: true }), (some, other) => {
        const { curve } = hybrid(some, other);
        expect(curve.length).toBe(some.length + 1);
        expect(curve[0]?.escalated).toBe(0);
        expect(curve[0]?.accuracy).toBeCloseTo(some.filter(({ correct }) => correct).length / some.length, 12);
        expect(curve.at(-1)?.escalated).toBe(1);
        expect(curve.at(-1)?.accuracy).toBeCloseTo(other, 12);
      }),
    );
  });

  it('is best where the next answer would be better kept', () => {
    const { best } = hybrid(ten, 0.9);
    expect(best.escalated).toBeCloseTo(0.2, 12);
    expect(best.accuracy).toBeCloseTo(0.98, 12);
  });

  it('with a weaker model is worse than none from some share on, and with a perfect one never', () => {
    // 8 right alone; escalating k ≥ 2 gives 10 − k·0.3 right, below 8 from k = 7 on.
    expect(hybrid(ten, 0.7).worseFrom).toBeCloseTo(0.7, 12);
    expect(hybrid(ten, 1).worseFrom).toBeUndefined();
    expect(hybrid(ten, 0.8).worseFrom).toBeUndefined();
  });

  it('at its best is no worse than either model alone', () => {
    fc.assert(
      fc.property(answers, fc.double({ min: 0, max: 1, noNaN: true }), (some, other) => {
        const { curve, best, worseFrom } = hybrid(some, other);
        for (const { accuracy } of curve) expect(best.accuracy).toBeGreaterThanOrEqual(accuracy - 1e-9);
        expect(worseFrom ?? Infinity).toBeGreaterThan(best.escalated);
      }),
    );
  });

  it('needs answers and an accuracy', () => {
    expect(() => hybrid([], 0.9)).toThrow(RangeError);
    expect(() => hybrid(ten, 88)).toThrow('an accuracy is between 0 and 1, not 88');
  });
});
