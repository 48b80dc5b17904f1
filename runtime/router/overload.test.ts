import { describe, expect, it } from 'vitest';
import { until } from '../../process/testing/waiting.ts';
import { vllmChat } from './testing/answers.ts';
import { json, type Received, startEngine } from './testing/engine.ts';
import { aModel, aRoute, clientKey, sha256, startRouter } from './testing/router.ts';

const chat = '/v1/chat/completions';
const ask = (content = 'hello') => ({ model: 'triage', messages: [{ role: 'user', content }] });
const good = json(vllmChat('good'));
const queue = { maxRequests: 10, maxBytes: 100_000, maxWaitMs: 60_000, onDeadline: 'Escalate' as const };

/** A backend with place for one request, which answers when it is told to. */
async function oneAtATime(over: Parameters<typeof aRoute>[1] = {}, others: ReturnType<typeof aModel>[] = []) {
  const held: Received[] = [];
  const engine = await startEngine((received) => void held.push(received));
  const other = await startEngine(good);
  const router = await startRouter({
    routes: [aRoute([aModel('small', { maxConcurrency: 1 }), ...others], over)],
    endpoints: { small: [engine.origin], other: [other.origin] },
  });
  return {
    router,
    held,
    engine,
    other,
    inFlight: () => router.context.gates.of('u1', 'small', 1).inFlight,
    waiting: () => router.context.gates.of('u1', 'small', 1).length,
    answer(): void {
      void good(held.shift() as Received);
    },
    async [Symbol.asyncDispose]() {
      await router[Symbol.asyncDispose]();
      await engine.kill();
      await other.kill();
    },
  };
}

describe('a backend with maxConcurrency', () => {
  it('gets the next request when one is answered, those of a higher priority first', async () => {
    const vip = 'sk-test-vip-0123456789abcdef0123456789abcdef';
    const keys = [
      { name: 'web', sha256: sha256(clientKey) },
      { name: 'vip', sha256: sha256(vip), priority: 'High' as const },
    ];
    await using world = await oneAtATime({ queue, access: { mode: 'Keys', keys } });
    const { router, held, waiting } = world;
    const replies = [router.post(chat, ask('first'))];
    await until('the first request to be there', () => held.length === 1);
    replies.push(router.post(chat, ask('second')));
    await until('one to wait', () => waiting() === 1);
    replies.push(router.post(chat, ask('important'), { authorization: `Bearer ${vip}` }));
    await until('two to wait', () => waiting() === 2);
    expect(await router.metric('cadre_router_queue_length')).toBe(2);
    const order: string[] = [];
    for (let at = 0; at < 3; at++) {
      await until('the next request to be there', () => held.length === 1);
      expect(world.inFlight()).toBe(1);
      order.push(held[0]?.raw.match(/first|second|important/)?.[0] ?? '');
      world.answer();
    }
    expect((await Promise.all(replies)).map(({ status }) => status)).toEqual([200, 200, 200]);
    expect(order).toEqual(['first', 'important', 'second']);
    expect([world.inFlight(), waiting(), await router.metric('cadre_router_queue_length')]).toEqual([0, 0, 0]);
  });

  it('without a queue: what finds no place goes to the next backend, or gets 429 with retry-after', async () => {
    await using world = await oneAtATime();
    const first = world.router.post(chat, ask());
    await until('the first request to be there', () => world.held.length === 1);
    const refused = await world.router.post(chat, ask());
    expect([refused.status, refused.json.error.code, refused.headers['retry-after']]).toEqual([429, 'overloaded', '1']);
    world.router.setRoutes([aRoute([aModel('small', { maxConcurrency: 1 }), aModel('other')])]);
    const elsewhere = await world.router.post(chat, ask());
    expect([elsewhere.status, elsewhere.headers['x-cadre-backend']]).toEqual([200, 'other']);
    world.answer();
    expect((await first).status).toBe(200);
    expect(world.inFlight()).toBe(0);
    const full = { backend: 'small', outcome: 'QueueFull' };
    expect(await world.router.metric('cadre_router_upstream_attempts_total', full)).toBe(2);
  });

  it.each([
    ['Escalate', 200],
    ['Reject', 429],
  ] as const)('%s: what has waited for queue.maxWait gets %i', async (onDeadline, status) => {
    await using world = await oneAtATime({ queue: { ...queue, maxWaitMs: 30, onDeadline } }, [aModel('other')]);
    const first = world.router.post(chat, ask());
    await until('the first request to be there', () => world.held.length === 1);
    const second = await world.router.post(chat, ask());
    expect(second.status).toBe(status);
    world.answer();
    expect((await first).status).toBe(200);
    expect([world.inFlight(), world.waiting()]).toEqual([0, 0]);
  });

  it('forgets those who wait and leave, and gives back the place of one that leaves while it is answered', async () => {
    await using world = await oneAtATime({ queue });
    const leaving = new AbortController();
    const options = {
      method: 'POST',
      headers: { authorization: `Bearer ${clientKey}`, 'content-type': 'application/json' },
      body: JSON.stringify(ask()),
      signal: leaving.signal,
    };
    const all = [0, 1, 2].map(() => fetch(`${world.router.origin}${chat}`, options).catch(() => 'left'));
    await until('one to be there and two to wait', () => world.held.length === 1 && world.waiting() === 2);
    leaving.abort();
    expect(await Promise.all(all)).toEqual(['left', 'left', 'left']);
    await until('nobody to be there', () => world.waiting() === 0 && world.inFlight() === 0);
    expect(world.engine.received).toHaveLength(1);
  });
});
