import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { RateBudget, RateBudgets } from './rate-budget.ts';

describe('a budget of a share', () => {
  it('lets through at most that share of any requests in a row, and ten more', () => {
    const share = fc.double({ min: 0.001, max: 1, noNaN: true });
    fc.assert(
      fc.property(share, fc.array(fc.boolean(), { maxLength: 400 }), (of, wishes) => {
        const budget = new RateBudget();
        const taken = wishes.map((wish) => {
          budget.pay(of);
          return wish && budget.take();
        });
        for (let from = 0; from < taken.length; from += 37) {
          let sum = 0;
          for (let to = from; to < taken.length; to++) {
            if (taken[to]) sum++;
            expect(sum).toBeLessThanOrEqual(of * (to - from + 1) + 10 + 1e-6);
          }
        }
      }),
    );
  });

  it('lets everything through at 1', () => {
    const budget = new RateBudget();
    for (let request = 0; request < 1000; request++) {
      budget.pay(1);
      expect(budget.take()).toBe(true);
    }
  });
});

it('is one for each policy until that is gone', () => {
  const budgets = new RateBudgets();
  const kept = budgets.of('a');
  const gone = budgets.of('b');
  budgets.retain(new Set(['a']));
  expect(budgets.of('a')).toBe(kept);
  expect(budgets.of('b')).not.toBe(gone);
});
