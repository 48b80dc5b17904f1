import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { connectionFailure } from '../providers/failure.ts';
import type { Upstream } from '../providers/upstreams.ts';
import { buildTable, type LiveBackend } from '../routes/table.ts';
import { aModel, aRoute, startRouter } from '../testing/router.ts';
import { balance, loadBound } from './balance.ts';
import type { Attempt } from './exchange.ts';
import { conversationHash } from './prompt-hash.ts';

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

  it('leaves one that is ejected alone, unless all are', async () => {
    await using world = await endpoints(2);
    const [a, b] = world.all as [Upstream, Upstream];
    a.health.failed(Date.now(), true);
    for (let i = 0; i < 20; i++) expect(balance(backend, [], world.context)).toBe(b);
    b.health.failed(Date.now(), true);
    expect(world.all).toContain(balance(backend, [], world.context));
  });

  it('sends one request to an ejected one whose time is over, and no more until it has answered', async () => {
    await using world = await endpoints(2);
    const [a, b] = world.all as [Upstream, Upstream];
    a.health.failed(Date.now() - 1_500, true);
    expect(balance(backend, [], world.context)).toBe(a);
    for (let i = 0; i < 20; i++) expect(balance(backend, [], world.context)).toBe(b);
  });

  it('gives one that came back less than the others at first', async () => {
    await using world = await endpoints(2);
    const [a, b] = world.all as [Upstream, Upstream];
    for (const { health } of [a, b]) {
      health.failed(Date.now() - 20_000, true);
      health.probe(Date.now() - 15_000);
    }
    b.health.began(Date.now() - 12_000);
    a.health.began(Date.now());
    let toA = 0;
    for (let i = 0; i < 2_000; i++) if (balance(backend, [], world.context) === a) toA++;
    expect(toA).toBeGreaterThan(20);
    expect(toA).toBeLessThan(600);
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

  it('sends what begins alike to one endpoint, as long as it has at most 1.25 times the average to do', async () => {
    await using world = await endpoints(4);
    for (const { health } of world.all) {
      health.failed(Date.now() - 20_000, true);
      health.probe(Date.now() - 15_000);
      health.began(Date.now() - 12_000);
    }
    const home = balance(backend, [], world.context, 7) as Upstream;
    for (let i = 0; i < 20; i++) expect(balance(backend, [], world.context, 7)).toBe(home);
    for (let i = 1; i <= 400; i++) {
      const upstream = balance(backend, [], world.context, 7) as Upstream;
      upstream.inFlight++;
      for (const { inFlight } of world.all) expect(inFlight).toBeLessThanOrEqual(loadBound(i, 4));
    }
    expect(home.inFlight).toBe(loadBound(400, 4));
    home.inFlight = 0;
    home.health.failed(Date.now(), true);
    expect(balance(backend, [], world.context, 7)).not.toBe(home);
  });
});

describe('the hash of a conversation', () => {
  const system = { role: 'system', content: 'Answer in French.' };
  const first = { role: 'user', content: 'Hello' };
  it('stays as the conversation goes on, and differs from that of others', () => {
    const begun = conversationHash({ messages: [system, first] });
    const more = [
      { role: 'assistant', content: 'Bonjour' },
      { role: 'user', content: 'How are you?' },
    ];
    expect(conversationHash({ messages: [system, first, ...more] })).toBe(begun);
    expect(conversationHash({ messages: [system, { role: 'user', content: 'Good day' }] })).not.toBe(begun);
    expect(conversationHash({ messages: [{ ...system, content: 'Be brief.' }, first] })).not.toBe(begun);
    const parts = [{ type: 'text', text: 'Hello' }];
    expect(conversationHash({ messages: [system, { role: 'user', content: parts }] })).toBe(begun);
  });

  it('is there for whatever a client may send', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        for (const content of [value, [value]])
          for (const messages of [value, [value], [{ role: 'user', content }]])
            expect(() => conversationHash({ messages, prompt: value })).not.toThrow();
      }),
    );
  });
});
