import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { argmax, groupSums } from '../../quality/prediction.ts';
import { withTemperature } from '../../quality/temperature.ts';
import { distribution } from '../../quality/testing/arbitraries.ts';
import * as router from '../../runtime/router/confidence/label-probabilities.ts';

describe('what is proven', () => {
  it('has the temperature, the groups and the answer that the router has', () => {
    const temperatures = fc.double({ min: 0.1, max: 10, noNaN: true });
    fc.assert(
      fc.property(distribution(12), temperatures, (probabilities, temperature) => {
        const groupOf = probabilities.map((_, label) => label % 3);
        const here = withTemperature(probabilities, temperature);
        const there = router.withTemperature(probabilities, temperature);
        expect(here).toEqual(there);
        expect(argmax(here)).toBe(router.indexOfLargest(there));
        const groups = Math.min(3, probabilities.length);
        expect(groupSums(here, groupOf)).toEqual([...router.sumGroups(there, groupOf, groups)]);
      }),
    );
  });
});
