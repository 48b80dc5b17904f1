import { describe, expect, it } from 'vitest';
import { connectionFailure } from '../providers/failure.ts';
import type { Upstream } from '../providers/upstreams.ts';
import { buildTable, type LiveBackend } from '../routes/table.ts';
import { aModel, aRoute, startRouter } from '../testing/router.ts';
import { balance } from './balance.ts';
import type { Attempt } from './exchange.ts';

const route = buildTable([{ route: aRoute([aModel('small')]), created: 0 }]).routes[0];
const backend = route?.backends[0] as LiveBackend;
const reset = connectionFailure('small', Object.assign(new Error('reset'), { code: 'ECONNRESET' }));

/** A context whose model has `count` ready endpoints that nobody listens at. */
async function endpoints(count: number) {
  const origins = Array.from({ length: count }, (_, i) => `http://192.0.2.${i + 1}:8000`);
  const router = await startRouter({ routes: [], endpoints: { small: origins } });
  return { ...router, all: [...router.context.endpoints.ready('support', 'small')] as [Upstream, ...Upstream[]] };
}

describe('balance', () => {
  it('takes the one with fewer requests of two different ones', async () => {
    await using world = await endpoints(3);
    const [a, b] = world.all as [Upstream, Upstream];
    a.inFlight = 5;
    b.inFlight = 2;
    for (const random of [0, 0.1, 0.3]) {
      world.context.random = () => random;
      expect(balance(backend, [], world.context)).not.toBe(a);
    }
  });

  it('spreads requests evenly when all are equally busy', async () => {
    await using world = await endpoints(4);
    for (let i = 0; i < 4_000; i++) {
      const upstream = balance(backend, [], world.context) as Upstream;
      upstream.inFlight++;
    }
    const counts = world.all.map(({ inFlight }) => inFlight);
    expect(Math.max(...counts) - Math.min(...counts)).toBeLessThan(40);
  });

  it('leaves one that failed alone, unless all did', async () => {
    await using world = await endpoints(2);
    const [a, b] = world.all as [Upstream, Upstream];
    a.failed(Date.now());
    for (let i = 0; i < 20; i++) expect(balance(backend, [], world.context)).toBe(b);
    b.failed(Date.now());
    expect(world.all).toContain(balance(backend, [], world.context));
    a.answered();
    for (let i = 0; i < 20; i++) expect(balance(backend, [], world.context)).toBe(a);
  });

  it('never takes one that was tried, but for a single one that was reset', async () => {
    await using world = await endpoints(2);
    const [a, b] = world.all as [Upstream, Upstream];
    const tried = (upstream: Upstream): Attempt => ({ backend, upstream, failure: reset });
    for (let i = 0; i < 20; i++) expect(balance(backend, [tried(a)], world.context)).toBe(b);
    expect(balance(backend, [tried(a), tried(b)], world.context)).toBe(b);
    expect(balance(backend, [tried(a), tried(b), tried(b)], world.context)).toBeUndefined();
    world.setEndpoints({ small: [] });
    expect(balance(backend, [tried(a)], world.context)).toBeUndefined();
  });
});
