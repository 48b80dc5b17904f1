import { describe, expect, it } from 'vitest';
import type { Route } from '../../crds/route-table.ts';
import { scoredChat, usageChunk, vllmChat, vllmStream } from './testing/answers.ts';
import { json, reset, type Script, startEngine, stream } from './testing/engine.ts';
import { aModel, aRoute, startRouter } from './testing/router.ts';

const chat = '/v1/chat/completions';
const ask = (over: object = {}) => ({ model: 'triage', messages: [{ role: 'user', content: 'hello' }], ...over });
/** $0.10 and $0.50 a million; $2, cached $0.20, and $10. */
const cheap = { input: 1000, output: 5000 };
const dear = { input: 20_000, output: 100_000, cachedInput: 2000 };
/** Nano-dollars of the 12 tokens in and 3 out of the tests' answers, 4 of them cached where the answer says so. */
const cheapCost = 12 * 100 + 3 * 500;
const dearCost = 12 * 2000 + 3 * 10_000;
const cachedDearCost = 8 * 2000 + 4 * 200 + 3 * 10_000;

const escalation: NonNullable<Route['escalation']> = {
  steps: [{ to: 'flagship', threshold: 0.85 }],
  when: ['LowConfidence', 'InvalidOutput', 'Error'],
  unknownConfidence: 'Escalate',
};

async function routerBefore(small: Script, flagship: Script, over: Partial<Route> = {}) {
  const stack = new AsyncDisposableStack();
  const engines = { small: stack.use(await startEngine(small)), flagship: stack.use(await startEngine(flagship)) };
  const backends = [aModel('small', { price: cheap }), aModel('flagship', { price: dear })];
  const router = stack.use(
    await startRouter({
      routes: [aRoute(backends, over)],
      endpoints: { small: [engines.small.origin], flagship: [engines.flagship.origin] },
    }),
  );
  const dollars = (labels: object) => router.metric('cadre_router_cost_dollars_total', { key: 'web', ...labels });
  return { router, dollars, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

describe('what an answer cost', () => {
  it('is in its header and in the metrics, by policy, backend, key and outcome', async () => {
    await using world = await routerBefore(json(vllmChat('hello')), reset);
    const reply = await world.router.post(chat, ask());
    expect(reply.headers['x-cadre-cost']).toBe('0.0000027');
    expect(await world.dollars({ policy: 'support/triage', backend: 'small', outcome: 'Accepted' })).toBe(
      cheapCost / 1e9,
    );
    expect(world.router.logged()).toContain(`"costDollars":${cheapCost / 1e9}`);
  });

  it('is the sum over all attempts where the request was escalated', async () => {
    const unsure = json(scoredChat('hi', { hi: 0.3 }));
    await using world = await routerBefore(unsure, json(vllmChat('hello')), { fallback: [], escalation });
    const reply = await world.router.post(chat, ask());
    expect(Number(reply.headers['x-cadre-cost'])).toBe((cheapCost + dearCost) / 1e9);
    expect(await world.dollars({ backend: 'small', outcome: 'Escalated' })).toBe(cheapCost / 1e9);
    expect(await world.dollars({ backend: 'flagship', outcome: 'Accepted' })).toBe(dearCost / 1e9);
  });

  it('of an answer that passed no gate is counted as invalid', async () => {
    await using world = await routerBefore(json(vllmChat('cut', 'length')), json(vllmChat('whole')), {
      fallback: [],
      escalation,
    });
    await world.router.post(chat, ask());
    expect(await world.dollars({ backend: 'small', outcome: 'Invalid' })).toBe(cheapCost / 1e9);
  });

  it('counts what the provider read from its cache at its price', async () => {
    await using world = await routerBefore(reset, json({ ...vllmChat('hello'), usage: usageChunk.usage }));
    const reply = await world.router.post(chat, ask());
    // What the first one did before it broke off, both times, is unknown, and so is the sum.
    expect(reply.headers).not.toHaveProperty('x-cadre-cost');
    expect(await world.dollars({ backend: 'flagship' })).toBe(cachedDearCost / 1e9);
    expect(await world.router.metric('cadre_router_cost_unknown_total', { backend: 'small', outcome: 'Failed' })).toBe(
      2,
    );
  });

  it('of an attempt that was refused is nothing', async () => {
    await using world = await routerBefore(json({ error: { message: 'busy' } }, 429), json(vllmChat('hello')));
    const reply = await world.router.post(chat, ask());
    expect(Number(reply.headers['x-cadre-cost'])).toBe(dearCost / 1e9);
  });

  it('of a stream is known only when it has ended: not in the header, but in the metrics', async () => {
    await using world = await routerBefore(stream(vllmStream(['hello'])), reset);
    const reply = await world.router.post(chat, ask({ stream: true }));
    expect(reply.headers).not.toHaveProperty('x-cadre-cost');
    expect(await world.dollars({ backend: 'small', outcome: 'Accepted' })).toBe((12 * 100 + 3 * 500) / 1e9);
  });

  it('is unknown without a price, which is not nothing', async () => {
    await using engine = await startEngine(json(vllmChat('hello')));
    await using router = await startRouter({
      routes: [aRoute([aModel('small')])],
      endpoints: { small: [engine.origin] },
    });
    const reply = await router.post(chat, ask());
    expect(reply.headers).not.toHaveProperty('x-cadre-cost');
    expect(await router.metric('cadre_router_cost_unknown_total')).toBe(1);
    expect(await router.metric('cadre_router_cost_dollars_total')).toBe(0);
  });
});
