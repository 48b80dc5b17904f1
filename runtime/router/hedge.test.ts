import { expect, it } from 'vitest';
import type { Route } from '../../crds/route-table.ts';
import { until } from '../../process/testing/waiting.ts';
import { vllmChat, vllmStream } from './testing/answers.ts';
import { json, type Script, startEngine, stream } from './testing/engine.ts';
import { aModel, aRoute, startRouter } from './testing/router.ts';

const chat = '/v1/chat/completions';
const ask = (over: object = {}) => ({ model: 'triage', messages: [{ role: 'user', content: 'hello' }], ...over });
/** Takes a request and says nothing. */
const silent: Script = () => undefined;
const hedge: Route['hedge'] = { afterMs: 20, maxRate: 1 };

/** Two endpoints of the model `small`, and one of `flagship` to fall back to. */
async function routerBefore(scripts: readonly [Script, Script?], over: Partial<Route> = {}) {
  const stack = new AsyncDisposableStack();
  const small = await Promise.all(scripts.flatMap((script) => (script ? startEngine(script) : [])));
  for (const one of small) stack.use(one);
  const flagship = stack.use(
    await startEngine((received) =>
      (received.body['stream'] === true ? stream(vllmStream(['flagship'])) : json(vllmChat('flagship')))(received),
    ),
  );
  const routes = [aRoute([aModel('small'), aModel('flagship')], { hedge, ...over })];
  const endpoints = { small: small.map(({ origin }) => origin), flagship: [flagship.origin] };
  const router = stack.use(await startRouter({ routes, endpoints }));
  router.context.random = () => 0; // the first endpoint, unless the second has fewer in flight
  return { router, small, flagship, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

it('a second endpoint is asked when the first is silent for too long; the first is left', async () => {
  for (const streamed of [false, true]) {
    const answer = streamed ? stream(vllmStream(['second'])) : json(vllmChat('second'));
    await using world = await routerBefore([silent, answer]);
    const reply = await world.router.post(chat, ask({ stream: streamed }));
    expect(reply.text).toContain('second');
    expect(reply.headers['x-cadre-backend']).toBe('small');
    await until('the first is left', () => world.small.some(({ received }) => received[0]?.gone === true));
    const labels = { policy: 'support/triage', backend: 'small' };
    for (const outcome of ['Answered', 'Outrun'])
      expect(await world.router.metric('cadre_router_upstream_attempts_total', { ...labels, outcome })).toBe(1);
    expect(world.flagship.received).toHaveLength(0);
  }
});

it('the next backend of fallback is asked where there is no other endpoint', async () => {
  await using world = await routerBefore([silent]);
  const reply = await world.router.post(chat, ask());
  expect(reply.headers['x-cadre-backend']).toBe('flagship');
  expect(world.router.context.upstreams.engine(world.small[0]?.origin as string).inFlight).toBe(0);
});

it('an answer that began in time is the only one that is asked for', async () => {
  await using world = await routerBefore([json(vllmChat('first')), json(vllmChat('second'))], {
    hedge: { afterMs: 60_000, maxRate: 1 },
  });
  expect((await world.router.post(chat, ask())).text).toContain('first');
  expect(world.small.flatMap(({ received }) => received)).toHaveLength(1);
});

it('a failure of the one does not end the other', async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  const late: Script = async (received) => {
    await promise;
    void json(vllmChat('late'))(received);
  };
  const failing: Script = (received) => {
    void json({ error: { message: 'no' } }, 500)(received);
    resolve();
  };
  await using world = await routerBefore([late, failing]);
  expect((await world.router.post(chat, ask())).text).toContain('late');
});

it('when both fail, the others are asked as ever', async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  const down = json({ error: { message: 'no' } }, 500);
  const late: Script = async (received) => {
    await promise;
    void down(received);
  };
  const failing: Script = (received) => {
    void down(received);
    resolve();
  };
  await using world = await routerBefore([late, failing]);
  expect((await world.router.post(chat, ask())).headers['x-cadre-backend']).toBe('flagship');
});

it('no more than the share is asked twice', async () => {
  await using world = await routerBefore([silent], {
    hedge: { afterMs: 1, maxRate: 0.001 },
    timeouts: { firstByteMs: 50, idleMs: 60_000, totalMs: 60_000 },
  });
  for (let i = 0; i < 11; i++) await world.router.post(chat, ask({ stream: true }));
  // The last one waited for its timeout, and fell back.
  const labels = { policy: 'support/triage', backend: 'small' };
  const outcomes = async (outcome: string) =>
    world.router.metric('cadre_router_upstream_attempts_total', { ...labels, outcome });
  expect([await outcomes('Outrun'), await outcomes('Timeout')]).toEqual([10, 1]);
});

it('a client that leaves ends both', async () => {
  await using world = await routerBefore([silent, silent]);
  const leaving = new AbortController();
  const reply = fetch(`${world.router.origin}${chat}`, {
    method: 'POST',
    headers: { authorization: 'Bearer sk-test-0123456789abcdef0123456789abcdef', 'content-type': 'application/json' },
    body: JSON.stringify(ask()),
    signal: leaving.signal,
  }).catch(() => undefined);
  await until('both are asked', () => world.small.every(({ received }) => received.length === 1));
  leaving.abort();
  await until('both are left', () => world.small.every(({ received }) => received[0]?.gone === true));
  await reply;
  expect(world.flagship.received).toHaveLength(0);
});
