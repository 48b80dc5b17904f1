import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { buildTable, type Share } from '../routes/table.ts';
import { aModel, aRoute } from '../testing/router.ts';
import { weightedChoice } from './split.ts';

function shares(weights: readonly number[]): readonly Share[] {
  const models = weights.map((_, i) => aModel(`m${i}`));
  const split = weights.map((weight, i) => ({ backend: `m${i}`, weight }));
  return buildTable([{ route: aRoute(models, { split }), created: 0 }]).routes[0]?.split ?? [];
}

describe('weightedChoice', () => {
  it('gives each backend its share of the line, exactly', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(20), { minLength: 1, maxLength: 6 }), (weights) => {
        const total = weights.reduce((sum, weight) => sum + weight, 0);
        const all = shares(weights);
        const counts = new Map<string | undefined, number>();
        for (let i = 0; i < total; i++) {
          const name = weightedChoice(all, (i + 0.5) / total)?.name;
          counts.set(name, (counts.get(name) ?? 0) + 1);
        }
        expect(weights.map((_, i) => counts.get(`m${i}`) ?? 0)).toEqual(weights);
      }),
    );
  });

  it('chooses nobody when all weights are 0, and somebody at either end of the line', () => {
    expect(weightedChoice(shares([0, 0]), 0.5)).toBeUndefined();
    expect(weightedChoice(shares([0, 1]), 0)?.name).toBe('m1');
    expect(weightedChoice(shares([1, 0]), 1 - Number.EPSILON)?.name).toBe('m0');
  });
});
