import OpenAI, { RateLimitError } from 'openai';
import { describe, expect, it } from 'vitest';
import type { Route } from '../../crds/route-table.ts';
import { until } from '../../process/testing/waiting.ts';
import { Limits } from './pipeline/limits.ts';
import { buildTable } from './routes/table.ts';
import { vllmChat } from './testing/answers.ts';
import { json, type Script, startEngine } from './testing/engine.ts';
import { aModel, aRoute, clientKey, sha256, startRouter } from './testing/router.ts';

const chat = '/v1/chat/completions';
const ask = (over: object = {}) => ({ model: 'triage', messages: [{ role: 'user', content: 'hello' }], ...over });
const answer = json(vllmChat('hi')); // 12 tokens of prompt, 3 of answer
const silence: Script = () => undefined;
const otherKey = 'sk-other-0123456789abcdef0123456789abcdef';
const twoKeys: Route['access'] = {
  mode: 'Keys',
  keys: [
    { name: 'web', sha256: sha256(clientKey) },
    { name: 'batch', sha256: sha256(otherKey) },
  ],
};
const asOther = { authorization: `Bearer ${otherKey}` };
const limited = (limits: NonNullable<Route['limits']>, over: Partial<Route> = {}) =>
  aRoute([aModel('small')], { limits, ...over });

async function routerWith(route: Route, script = answer) {
  const stack = new AsyncDisposableStack();
  const engine = stack.use(await startEngine(script));
  const router = stack.use(await startRouter({ routes: [route], endpoints: { small: [engine.origin] } }));
  return { engine, router, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

describe('a limit of requests', () => {
  it('answers 429 to what is beyond it, with when to come again, and asks no backend', async () => {
    await using world = await routerWith(limited({ requestsPerMinute: 2, per: 'Policy' }));
    const { router, engine } = world;
    const first = await router.post(chat, ask());
    expect(first.status).toBe(200);
    expect(first.headers).toMatchObject({
      'x-ratelimit-limit-requests': '2',
      'x-ratelimit-remaining-requests': '1',
    });
    expect(first.headers['x-ratelimit-reset-requests']).toMatch(/^1m[01]s$/);
    expect(first.headers).not.toHaveProperty('x-ratelimit-limit-tokens');
    expect((await router.post(chat, ask())).headers['x-ratelimit-remaining-requests']).toBe('0');
    const refused = await router.post(chat, ask());
    expect(refused.status).toBe(429);
    expect(refused.json.error).toMatchObject({ type: 'rate_limit_error', code: 'rate_limit_exceeded' });
    expect(refused.json.error.message).toContain('2 requests per minute for all clients together');
    expect(refused.headers).toMatchObject({ 'x-ratelimit-remaining-requests': '0' });
    const retryAfter = Number(refused.headers['retry-after']);
    expect(Number.isInteger(retryAfter) && retryAfter >= 1 && retryAfter <= 61).toBe(true);
    expect(engine.received).toHaveLength(2);
    const labels = { policy: 'support/triage', backend: '', code: '429' };
    expect(await router.metric('cadre_router_requests_total', labels)).toBe(1);
  });

  it('is of each key apart, or of all together', async () => {
    await using world = await routerWith(limited({ requestsPerMinute: 1, per: 'Key' }, { access: twoKeys }));
    const { router } = world;
    const statuses = async () => [
      (await router.post(chat, ask())).status,
      (await router.post(chat, ask(), asOther)).status,
      (await router.post(chat, ask(), asOther)).status,
    ];
    expect(await statuses()).toEqual([200, 200, 429]);
    router.setRoutes([
      limited(
        { requestsPerMinute: 1, per: 'Policy' },
        { access: twoKeys, policy: { namespace: 'support', name: 'triage', uid: 'u2', generation: 1 } },
      ),
    ]);
    expect(await statuses()).toEqual([200, 429, 429]);
  });

  it('goes on counting when the policy changes', async () => {
    await using world = await routerWith(limited({ requestsPerMinute: 1, per: 'Policy' }));
    const { router } = world;
    await router.post(chat, ask());
    router.setRoutes([limited({ requestsPerMinute: 2, per: 'Policy' })]);
    expect((await router.post(chat, ask())).status).toBe(200);
    expect((await router.post(chat, ask())).status).toBe(429);
  });

  it('is nothing to other models of the same key, nor to a policy without limits', async () => {
    await using world = await routerWith(limited({ requestsPerMinute: 1, per: 'Key' }));
    const { router } = world;
    const other = aRoute([aModel('small')], {
      model: 'other',
      policy: { namespace: 'support', name: 'other', uid: 'u9', generation: 1 },
    });
    router.setRoutes([limited({ requestsPerMinute: 1, per: 'Key' }), other]);
    await router.post(chat, ask());
    expect((await router.post(chat, ask())).status).toBe(429);
    const reply = await router.post(chat, ask({ model: 'other' }));
    expect(reply.status).toBe(200);
    expect(Object.keys(reply.headers).filter((name) => name.startsWith('x-ratelimit'))).toEqual([]);
  });

  it('is one that the SDK of OpenAI understands', async () => {
    await using world = await routerWith(limited({ requestsPerMinute: 1, per: 'Key' }));
    const client = new OpenAI({ baseURL: `${world.router.origin}/v1`, apiKey: clientKey, maxRetries: 0 });
    const create = () =>
      client.chat.completions.create({ model: 'triage', messages: [{ role: 'user', content: 'x' }] });
    await create();
    const error = await create().catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(RateLimitError);
    expect((error as InstanceType<typeof OpenAI.RateLimitError>).code).toBe('rate_limit_exceeded');
  });
});

describe('a limit of tokens', () => {
  it('counts what requests have really cost, and refuses the next one once that is too much', async () => {
    await using world = await routerWith(limited({ tokensPerMinute: 31, per: 'Policy' }));
    const { router } = world;
    // 2 are foreseen ("hello"), and 15 are spent; before the third there is 1 left.
    const replies = [await router.post(chat, ask()), await router.post(chat, ask()), await router.post(chat, ask())];
    expect(replies.map(({ status }) => status)).toEqual([200, 200, 429]);
    expect(replies.map(({ headers }) => headers['x-ratelimit-remaining-tokens'])).toEqual(['29', '14', '1']);
    expect(replies[2]?.json.error.message).toContain('31 tokens per minute');
  });

  it('foresees the answers that requests under way may still get, and gives back what they did not need', async () => {
    await using world = await routerWith(limited({ tokensPerMinute: 100, per: 'Policy' }), silence);
    const { router, engine } = world;
    const under = router.post(chat, ask({ max_tokens: 90 }));
    await until('the first is under way', () => engine.received.length === 1);
    expect((await router.post(chat, ask({ max_tokens: 10 }))).status).toBe(429);
    engine.script = answer;
    await answer(engine.received[0] as (typeof engine.received)[number]);
    expect((await under).status).toBe(200);
    expect((await router.post(chat, ask({ max_tokens: 10 }))).headers['x-ratelimit-remaining-tokens']).toBe('73');
  });

  it('serves a request that is larger than the limit when there is nobody else', async () => {
    await using world = await routerWith(limited({ tokensPerMinute: 10, per: 'Policy' }));
    expect((await world.router.post(chat, ask({ max_tokens: 5_000 }))).status).toBe(200);
    expect((await world.router.post(chat, ask({ max_tokens: 5_000 }))).status).toBe(429);
  });

  it('takes nothing for a request that no backend answered, and what was foreseen where nobody counted', async () => {
    await using world = await routerWith(limited({ tokensPerMinute: 100, per: 'Policy' }), json({ error: {} }, 400));
    const { router, engine } = world;
    expect((await router.post(chat, ask({ max_tokens: 90 }))).status).toBe(400);
    const { usage: _, ...uncounted } = vllmChat('hi');
    engine.script = json(uncounted);
    expect((await router.post(chat, ask({ max_tokens: 90 }))).status).toBe(200);
    const refused = await router.post(chat, ask({ max_tokens: 90 }));
    expect([refused.status, refused.headers['x-ratelimit-remaining-tokens']]).toEqual([429, '8']);
  });

  it('takes nothing of the one limit when the other is reached', async () => {
    await using world = await routerWith(limited({ requestsPerMinute: 2, tokensPerMinute: 60, per: 'Policy' }));
    const { router } = world;
    await router.post(chat, ask());
    const refused = await router.post(chat, ask({ max_tokens: 60 }));
    expect([refused.status, refused.headers['x-ratelimit-remaining-requests']]).toEqual([429, '1']);
    expect((await router.post(chat, ask())).status).toBe(200);
  });
});

describe('three replicas', () => {
  it('let through together what the limit says, when clients spread their requests by chance', async () => {
    const limit = 90;
    await using stack = new AsyncDisposableStack();
    const engine = stack.use(await startEngine(answer));
    const routers = await Promise.all(
      [1, 2, 3].map(async () => {
        const endpoints = { small: [engine.origin] };
        const router = stack.use(
          await startRouter({ routes: [limited({ requestsPerMinute: limit, per: 'Key' })], endpoints }),
        );
        router.context.limits.replicas = 3;
        return router;
      }),
    );
    // 90 come to each, give or take 8: that one gets fewer than its share of 30 does not happen.
    const statuses = await Promise.all(
      Array.from({ length: 3 * limit }, async () => {
        const at = Math.floor(Math.random() * routers.length);
        return (await (routers[at] as (typeof routers)[number]).post(chat, ask())).status;
      }),
    );
    expect(statuses.filter((status) => status === 200)).toHaveLength(limit);
    expect(statuses.filter((status) => status === 429)).toHaveLength(2 * limit);
    expect(engine.received).toHaveLength(limit);
  });

  it('have each its share, rounded up, from the moment at which there are three', () => {
    const limits = new Limits();
    expect(limits.share(100)).toBe(100);
    limits.replicas = 3;
    expect([limits.share(100), limits.share(1)]).toEqual([34, 1]);
  });
});

describe('what was taken', () => {
  it('is forgotten with the policy, its limits or the key', () => {
    const limits = new Limits();
    const route = limited({ requestsPerMinute: 5, per: 'Key' }, { access: twoKeys });
    const digest = sha256(clientKey);
    const used = () => limits.account('u1', digest).requests.used(0);
    const keep = (...routes: Route[]) => limits.retain(buildTable(routes.map((one) => ({ route: one, created: 0 }))));
    const take = () => limits.account('u1', digest).requests.add(1, 0);
    take();
    keep(route);
    expect(used()).toBe(1);
    keep({ ...route, access: { mode: 'Keys', keys: twoKeys.keys.slice(1) } });
    expect(used()).toBe(0);
    take();
    keep({ ...route, limits: undefined });
    expect(used()).toBe(0);
    take();
    keep();
    expect(used()).toBe(0);
  });
});
