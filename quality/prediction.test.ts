import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { argmax, grouped, groupSums, pooled, scoredAnswer } from './prediction.ts';
import { distribution, sparseDistribution } from './testing/arbitraries.ts';

describe('an answer', () => {
  it('is the likeliest label, the first of equals', () => {
    expect(argmax([0.2, 0.5, 0.3])).toBe(1);
    expect(argmax([0.4, 0.4, 0.2])).toBe(0);
    expect(argmax([])).toBe(-1);
  });

  it('is none, and not right, where no label has any probability', () => {
    expect(scoredAnswer({ truth: 0, probabilities: [0, 0] })).toEqual({ confidence: 0, correct: false });
    expect(scoredAnswer({ truth: 0, probabilities: [] })).toEqual({ confidence: 0, correct: false });
  });

  it('is right where that is the truth', () => {
    expect(scoredAnswer({ truth: 1, probabilities: [0.3, 0.7] })).toEqual({ confidence: 0.7, correct: true });
    expect(scoredAnswer({ truth: 0, probabilities: [0.3, 0.7] })).toEqual({ confidence: 0.7, correct: false });
  });
});

describe('groups', () => {
  it('sum the probabilities of their labels, and the truth is the group of the true label', () => {
    expect(grouped([{ truth: 2, probabilities: [0.5, 0.25, 0.25] }], [0, 1, 1])).toEqual([
      { truth: 1, probabilities: [0.5, 0.5] },
    ]);
  });

  it('keep the sum', () => {
    fc.assert(
      fc.property(distribution(12), (probabilities) => {
        const sums = groupSums(
          probabilities,
          probabilities.map((_, label) => label % 3),
        );
        expect(sums.reduce((a, b) => a + b)).toBeCloseTo(1, 9);
      }),
    );
  });
});

describe('groups whose number is given', () => {
  it('have the sums of their labels, and together what all labels have', () => {
    fc.assert(
      fc.property(sparseDistribution, fc.integer({ min: 1, max: 5 }), (probabilities, count) => {
        const groupOf = Int32Array.from(probabilities, (_, label) => label % count);
        const sums = groupSums(probabilities, groupOf, count);
        expect(sums).toHaveLength(count);
        expect(sums.reduce((a, b) => a + b)).toBeCloseTo(1, 9);
        for (const [group, sum] of sums.entries()) {
          const own = probabilities.filter((_, label) => label % count === group);
          expect(sum).toBeCloseTo(
            own.reduce((a, b) => a + b, 0),
            9,
          );
        }
      }),
    );
  });
});

describe('opinions', () => {
  it('are pooled to their mean', () => {
    const opinions = [
      { truth: 1, probabilities: [0.9, 0.1] },
      { truth: 1, probabilities: [0.2, 0.8] },
    ];
    const { truth, probabilities } = pooled(opinions);
    expect(truth).toBe(1);
    expect(probabilities[0]).toBeCloseTo(0.55, 12);
    expect(probabilities[1]).toBeCloseTo(0.45, 12);
  });

  it('of different inputs are not pooled', () => {
    const first = { truth: 0, probabilities: [1] };
    expect(() => pooled([first, { truth: 1, probabilities: [1] }])).toThrow(RangeError);
    expect(() => pooled([first, { truth: 0, probabilities: [0.5, 0.5] }])).toThrow(RangeError);
    expect(() => pooled([])).toThrow('nobody has an opinion');
  });
});
