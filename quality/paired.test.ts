import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compared, mcnemarExact } from './paired.ts';

describe("McNemar's exact test", () => {
  it.each([
    [0, 0, 1],
    [1, 0, 1],
    [5, 0, 0.0625],
    [10, 0, 0.001953125],
    [5, 15, 0.041389465],
    [19, 14, 0.48685024],
    [12, 12, 1],
  ])('of %i against %i has p = %f', (b, c, p) => {
    expect(mcnemarExact(b, c)).toBeCloseTo(p, 7);
  });

  it('does not vanish where the binomial terms do', () => {
    // (4900 − 5100 + 1)/√10000 = −1.99: the normal tail gives 0.0466.
    expect(mcnemarExact(4900, 5100)).toBeCloseTo(0.0466, 3);
  });

  it('is the same for either order, and smaller the further apart', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 300 }), fc.integer({ min: 0, max: 300 }), (b, c) => {
        const p = mcnemarExact(b, c);
        expect(p).toBeGreaterThan(0);
        expect(p).toBeLessThanOrEqual(1);
        expect(mcnemarExact(c, b)).toBe(p);
        expect(mcnemarExact(Math.min(b, c), Math.max(b, c) + 1)).toBeLessThanOrEqual(p + 1e-12);
      }),
    );
  });

  it('refuses what is no count', () => {
    expect(() => mcnemarExact(-1, 2)).toThrow(RangeError);
    expect(() => mcnemarExact(1.5, 2)).toThrow(RangeError);
  });
});

describe('a comparison of two classifiers', () => {
  it('counts where only one was right', () => {
    const answers = (text: string): { correct: boolean }[] =>
      text.split('').map((letter) => ({ correct: letter === '+' }));
    expect(compared(answers('++++--'), answers('+---+-'))).toEqual({
      onlyFirst: 3,
      onlySecond: 1,
      bothRight: 1,
      bothWrong: 1,
      p: mcnemarExact(3, 1),
    });
    expect(() => compared(answers('+'), answers('++'))).toThrow('1 answers against 2');
  });
});
