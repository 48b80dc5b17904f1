import { describe, expect, it } from 'vitest';
import { vllmChat, vllmStream } from './testing/answers.ts';
import { json, startEngine, stream } from './testing/engine.ts';
import { answering, providerHost, startProvider } from './testing/provider.ts';
import { aModel, aProvider, aRoute, startRouter } from './testing/router.ts';

const chat = '/v1/chat/completions';
const ask = (over: object = {}) => ({ model: 'triage', messages: [{ role: 'user', content: 'hello' }], ...over });
const loopback = { allowedCIDRs: ['127.0.0.0/8'] };

describe('a provider', () => {
  it("is called by https with its own key, and neither the client's key nor its request id", async () => {
    await using provider = await startProvider(json(vllmChat('hi')));
    await using router = await startRouter({
      routes: [aRoute([aProvider('flagship', provider.baseUrl)])],
      config: { providers: loopback },
      resolve: answering(['127.0.0.1']),
      ca: [provider.ca],
    });
    const reply = await router.post(chat, ask(), { 'x-request-id': 'mine' });
    expect([reply.status, reply.json.model, reply.headers['x-cadre-model']]).toEqual([200, 'triage', 'gpt']);
    const [got] = provider.received;
    expect([got?.path, got?.body['model'], got?.headers.authorization]).toEqual([chat, 'gpt', 'Bearer provider-key']);
    expect(got?.headers['x-request-id']).toBeUndefined();
    expect(got?.headers.host).toBe(new URL(provider.baseUrl).host);
  });

  it('gets nothing in its request that it may not know', async () => {
    await using provider = await startProvider(stream(vllmStream(['hi'])));
    await using router = await startRouter({
      routes: [aRoute([aProvider('flagship', provider.baseUrl)])],
      config: { providers: loopback },
      resolve: answering(['127.0.0.1']),
      ca: [provider.ca],
    });
    const reply = await router.post(chat, ask({ stream: true }));
    expect(provider.received[0]?.body).toEqual({ ...ask({ stream: true }), model: 'gpt' });
    expect(reply.text).toMatch(/data: \[DONE\]\n\n$/);
  });

  it('whose certificate nobody vouches for is not called', async () => {
    await using provider = await startProvider(json(vllmChat('hi')));
    await using router = await startRouter({
      routes: [aRoute([aProvider('flagship', provider.baseUrl)])],
      config: { providers: loopback },
      resolve: answering(['127.0.0.1']),
    });
    const reply = await router.post(chat, ask());
    expect([reply.status, provider.received.length]).toEqual([502, 0]);
    expect(reply.json.error.message).toContain('TLS');
  });

  it.each([
    ['at a private address', ['10.1.2.3']],
    ['at a public and a private one', ['93.184.215.14', '10.1.2.3']],
    ['at the metadata service', ['169.254.169.254']],
    ['at a private address in the clothes of IPv6', ['::ffff:192.168.0.1']],
    ['at a unique local address', ['fd00:ec2::254']],
  ])('by a name %s is refused', async (_, addresses) => {
    await using provider = await startProvider(json(vllmChat('hi')));
    await using router = await startRouter({
      routes: [aRoute([aProvider('flagship', provider.baseUrl)])],
      resolve: answering(addresses),
      ca: [provider.ca],
    });
    const reply = await router.post(chat, ask());
    expect([reply.status, reply.json.error.code, provider.connections()]).toEqual([502, 'backend_failed', 0]);
    expect(reply.text).not.toContain(addresses[0] as string);
    expect(router.logged()).toContain(`${providerHost} is at `);
  });

  it('whose name server changes its mind is connected to at the address that was checked', async () => {
    await using provider = await startProvider(json(vllmChat('hi')));
    // Each answer is used as it was checked: the first is allowed, the second, which a rebinding attack hopes for, is not.
    const resolve = answering(['127.0.0.1'], ['127.9.9.9']);
    await using router = await startRouter({
      routes: [aRoute([aProvider('flagship', provider.baseUrl)])],
      config: { providers: { allowedCIDRs: ['127.0.0.1/32'] } },
      resolve,
      ca: [provider.ca],
    });
    expect((await router.post(chat, ask())).status).toBe(200);
    expect(resolve.asked).toEqual([providerHost]);
    const pool = router.context.upstreams.provider(new URL(provider.baseUrl).origin);
    router.context.upstreams.retainProviders(new Set()); // drops the connection, so that the name is asked for again
    expect(router.context.upstreams.provider(pool.origin)).not.toBe(pool);
    expect((await router.post(chat, ask())).status).toBe(502);
    expect(resolve.asked).toEqual([providerHost, providerHost]);
    expect(provider.connections()).toBe(1);
  });

  it('by plain http is refused', async () => {
    await using router = await startRouter({ routes: [aRoute([aProvider('flagship', 'http://93.184.215.14/v1')])] });
    expect((await router.post(chat, ask())).status).toBe(502);
    expect(router.logged()).toContain('by https only');
  });

  it("does not get another's key by a redirect", async () => {
    await using other = await startEngine(json(vllmChat('stolen')));
    await using provider = await startProvider(json({}, 307, { location: `${other.origin}/v1/chat/completions` }));
    await using router = await startRouter({
      routes: [aRoute([aProvider('flagship', provider.baseUrl)])],
      config: { providers: loopback },
      resolve: answering(['127.0.0.1']),
      ca: [provider.ca],
    });
    const reply = await router.post(chat, ask());
    expect([reply.status, other.received.length]).toEqual([502, 0]);
    expect(reply.json.error.message).toContain('redirect (307)');
  });

  it('that limits requests hands its retry-after to the client, when there is nobody else', async () => {
    await using provider = await startProvider(
      json({ error: { message: 'slow down', code: 'rate_limit_exceeded' } }, 429, { 'retry-after': '20' }),
    );
    await using engine = await startEngine(json(vllmChat('instead')));
    await using router = await startRouter({
      routes: [aRoute([aProvider('flagship', provider.baseUrl), aModel('small')])],
      config: { providers: loopback },
      resolve: answering(['127.0.0.1']),
      ca: [provider.ca],
    });
    const alone = await router.post(chat, ask());
    expect([alone.status, alone.headers['retry-after'], alone.json.error.type]).toEqual([503, '5', 'server_error']);
    router.setEndpoints({ small: [engine.origin] });
    expect((await router.post(chat, ask())).json.choices[0].message.content).toBe('instead');
    router.setRoutes([aRoute([aProvider('flagship', provider.baseUrl)])]);
    const limited = await router.post(chat, ask());
    expect([limited.status, limited.headers['retry-after'], limited.json.error.code]).toEqual([
      429,
      '20',
      'rate_limit_exceeded',
    ]);
  });
});
