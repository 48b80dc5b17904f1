import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { buildTable, type Share } from '../routes/table.ts';
import { aModel, aRoute } from '../testing/router.ts';
import { stickyChoice } from './sticky.ts';

function shares(weights: readonly number[]): readonly Share[] {
  const models = weights.map((_, i) => aModel(`m${i}`));
  const split = weights.map((weight, i) => ({ backend: `m${i}`, weight }));
  return buildTable([{ route: aRoute(models, { split }), created: 0 }]).routes[0]?.split ?? [];
}

const weights = fc.array(fc.nat(20), { minLength: 1, maxLength: 6 });

describe('the backend of a value', () => {
  it('is the same in every replica, and whatever the order of the backends', () => {
    fc.assert(
      fc.property(weights, fc.string(), (all, value) => {
        const one = stickyChoice(shares(all), value)?.name;
        expect(stickyChoice(shares(all).toReversed(), value)?.name).toBe(one);
      }),
    );
  });

  it('is none with the weight 0', () => {
    fc.assert(
      fc.property(weights, fc.string(), (all, value) => {
        const chosen = stickyChoice(shares(all), value)?.name;
        const possible = all.flatMap((weight, at) => (weight > 0 ? `m${at}` : []));
        expect(possible.length > 0 ? possible : [undefined]).toContain(chosen);
      }),
    );
  });

  it('changes only towards a backend whose weight grew', () => {
    const values = Array.from({ length: 300 }, (_, i) => `user-${i}`);
    fc.assert(
      fc.property(weights, fc.nat(), fc.integer({ min: 1, max: 20 }), (all, which, more) => {
        const grown = which % all.length;
        const [before, after] = [shares(all), shares(all.with(grown, (all[grown] as number) + more))];
        const moved = values.flatMap((value) => {
          const now = stickyChoice(after, value)?.name;
          return now === stickyChoice(before, value)?.name ? [] : now;
        });
        expect(moved.filter((name) => name !== `m${grown}`)).toEqual([]);
      }),
      { numRuns: 20 },
    );
  });

  it('gives each backend its share of the values', () => {
    const all = [90, 9, 1];
    const count = 100_000;
    const counts = [0, 0, 0];
    const before = shares(all);
    for (let i = 0; i < count; i++) {
      const at = Number(stickyChoice(before, `user-${i}`)?.name.slice(1));
      counts[at] = (counts[at] as number) + 1;
    }
    const chiSquare = all.reduce((sum, weight, i) => {
      const expected = (count * weight) / 100;
      return sum + ((counts[i] as number) - expected) ** 2 / expected;
    }, 0);
    // The 99.9 % quantile with two degrees of freedom; these values are always the same ones.
    expect(chiSquare).toBeLessThan(13.82);
  });
});
