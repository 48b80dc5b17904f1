import { Registry } from 'prom-client';
import { expect, it } from 'vitest';
import { createRouterMetrics } from './metrics.ts';
import { SpendingBook } from './spending.ts';

it('has a series for each of a hundred keys, and one for all others', () => {
  const book = new SpendingBook();
  for (let key = 0; key < 150; key++)
    for (const outcome of ['Accepted', 'Failed']) book.of(`key-${key}`, outcome).cost += 1;
  const entries = [...book.entries()];
  expect(entries).toHaveLength(2 * 101);
  expect(entries.filter(({ key }) => key === '_other').map(({ cost }) => cost)).toEqual([50, 50]);
  expect(book.of('key-3', 'Accepted')).toBe(book.of('key-3', 'Accepted'));
});

it('forgets the series of policies that are gone, and keeps those of requests that found none', async () => {
  const registry = new Registry();
  const metrics = createRouterMetrics(registry);
  for (const policy of ['', 'support/kept', 'support/gone'])
    metrics.series(policy, 'small').spending.of('web', 'Accepted').cost += 1e9;
  metrics.retain(new Set(['support/kept']));
  const found = await registry.getSingleMetric('cadre_router_cost_dollars_total')?.get();
  expect(found?.values.map(({ labels }) => labels['policy'])).toEqual(['', 'support/kept']);
});
