import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { normalReasons, type Problem, type ProblemReason, problemReasons, worst } from './reasons.ts';

const problem = fc.record<Problem>({
  reason: fc.constantFrom(...(Object.keys(problemReasons) as ProblemReason[])),
  message: fc.string(),
});

describe('the worst of several problems', () => {
  it('is the same in whatever order they are found', () => {
    fc.assert(
      fc.property(
        fc
          .array(problem, { minLength: 1 })
          .chain((all) => fc.tuple(fc.constant(all), fc.shuffledSubarray(all, { minLength: all.length }))),
        ([all, shuffled]) => {
          expect(worst(shuffled)).toEqual(worst(all));
        },
      ),
    );
  });

  it('is none of none', () => {
    expect(worst([])).toBeUndefined();
  });
});

describe('a reason', () => {
  it('means one thing: no problem has the name of what is normal', () => {
    expect(Object.keys(problemReasons).filter((reason) => reason in normalReasons)).toEqual([]);
  });

  it('is CamelCase, as the API asks', () => {
    for (const reason of [...Object.keys(problemReasons), ...Object.keys(normalReasons)]) {
      expect(reason).toMatch(/^[A-Z][A-Za-z]+$/);
    }
  });
});
