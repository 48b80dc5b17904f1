import { inspect } from 'node:util';
import * as fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { vllmChat } from '../../runtime/router/testing/answers.ts';
import { json, type Script, startEngine, stream, type TestEngine } from '../../runtime/router/testing/engine.ts';
import { answering, startProvider, type TestProvider } from '../../runtime/router/testing/provider.ts';
import {
  aModel,
  aProvider,
  aRoute,
  clientKey,
  startRouter,
  type TestRouter,
} from '../../runtime/router/testing/router.ts';
import { isLong } from '../support/measured.ts';
import { echo } from './support/echo.ts';
import { chatPath, RawClient, request, untilIdle } from './support/raw-client.ts';

const ask = (over: object = {}) => ({ model: 'triage', messages: [{ role: 'user', content: 'marker-1' }], ...over });
const loopback = { providers: { allowedCIDRs: ['127.0.0.0/8'] } };

let engine: TestEngine;
let provider: TestProvider;
let router: TestRouter;
/** What the two do; each test says. */
let script: Script = echo;

beforeAll(async () => {
  engine = await startEngine((got) => script(got));
  provider = await startProvider((got) => script(got));
  const named = (name: string) => ({ policy: { namespace: 'support', name, uid: name, generation: 1 }, model: name });
  router = await startRouter({
    routes: [
      aRoute([aModel('small')]),
      aRoute([aProvider('flagship', provider.baseUrl)], named('external')),
      aRoute([aModel('vectors', { task: 'Embedding' })], named('vectors')),
    ],
    endpoints: { small: [engine.origin], vectors: [engine.origin] },
    config: loopback,
    resolve: answering(['127.0.0.1']),
    ca: [provider.ca],
  });
});

afterAll(async () => {
  await router[Symbol.asyncDispose]();
  await provider[Symbol.asyncDispose]();
  await engine.kill();
});

describe("a client's path", () => {
  /** All that engines are ever asked; what else they have (adapters, metrics, tokenizers, other inference) is not for clients. */
  const allowed = new Set(['/v1/chat/completions', '/v1/completions', '/v1/embeddings', '/classify']);

  it.each([
    '/metrics/../invocations',
    '/invocations',
    '/tokenize',
    '/v1/load_lora_adapter',
    '/v1//chat/completions',
    '//v1/chat/completions',
    '/v1/chat/completions/',
    '/v1/chat/completions/../../tokenize',
    '/v1/chat/completions/%2e%2e/%2e%2e/tokenize',
    '/v1/%2e%2e/tokenize',
    '/v1/..%2ftokenize',
    '/v1/chat%2fcompletions',
    '/v1/chat/completions%00',
    '/v1/chat/completions;/../tokenize',
    '/v1/chat/completions%3f/../tokenize',
    '/v1\\chat\\completions',
    '/V1/chat/completions',
    '/./v1/chat/completions',
    'http://engine:8000/v1/chat/completions',
    'http://engine:8000/invocations',
    'https://api.provider.test/v1/chat/completions',
    'v1/chat/completions',
    '*',
    '@engine/v1/chat/completions',
  ])('%s reaches no engine', async (path) => {
    script = echo;
    const before = engine.received.length;
    using client = new RawClient(router);
    client.send(request(JSON.stringify(ask()), { path }));
    await client.untilReceived('\r\n\r\n{');
    expect(client.statuses[0]).toBeGreaterThanOrEqual(400);
    expect(client.statuses[0]).toBeLessThan(500);
    await untilIdle(router);
    expect(engine.received.length).toBe(before);
  });

  it('is not what an engine is asked: a query stays here', async () => {
    script = echo;
    expect((await router.post(`${chatPath}?key=secret&x=/../tokenize#y`, ask())).status).toBe(200);
    expect(engine.last.path).toBe(chatPath);
  });

  it('of any kind reaches nothing else than what the API has', async () => {
    script = echo;
    const piece = fc.constantFrom(
      'v1',
      'chat',
      'completions',
      'embeddings',
      'models',
      '..',
      '.',
      '%2e',
      '%2f',
      '/',
      '//',
      '\\',
      ';',
      '?',
      '%00',
      'tokenize',
      'classify',
      'http:',
      '#',
      '%',
      '~',
    );
    const path = fc.array(piece, { maxLength: 8 }).map((pieces) => `/${pieces.join('/')}`);
    const before = engine.received.length;
    await fc.assert(
      fc.asyncProperty(
        path,
        fc.constantFrom('POST', 'GET', 'PUT', 'DELETE', 'OPTIONS', 'HEAD'),
        async (target, method) => {
          using client = new RawClient(router);
          client.send(request(JSON.stringify(ask()), { path: target, method, headers: ['connection: close'] }));
          await client.untilClosed();
          expect(client.statuses.length).toBe(1);
          expect(client.statuses[0]).toBeLessThan(500);
        },
      ),
      { numRuns: isLong ? 5_000 : 150 },
    );
    for (const { path: asked } of engine.received.slice(before)) expect(allowed).toContain(asked);
  });
});

describe("a client's headers", () => {
  const names = [
    'cookie',
    'x-api-key',
    'api-key',
    'openai-organization',
    'openai-project',
    'anthropic-version',
    'anthropic-beta',
    'x-forwarded-for',
    'x-forwarded-host',
    'x-real-ip',
    'forwarded',
    'proxy-authorization',
    'user-agent',
    'accept',
    'accept-encoding',
    'accept-language',
    'origin',
    'referer',
    'x-cadre-backend',
    'x-cadre-confidence',
    'x-original-url',
    'x-rewrite-url',
    'x-http-method-override',
    'x-stainless-retry-count',
    'te',
    'trailer',
    'via',
    'range',
    'if-match',
    'x-request-timeout',
  ];
  const headers = names.map((name, i) => `${name}: leak-${i}`);

  it.each(['triage', 'external'])('do not go on, of requests to the model %s', async (model) => {
    script = echo;
    using client = new RawClient(router);
    client.send(request(JSON.stringify(ask({ model })), { headers: [...headers, 'connection: close, x-hop, leak'] }));
    await client.untilReceived('marker-1');
    const got = model === 'triage' ? engine.last : provider.received.at(-1);
    expect(JSON.stringify(got?.headers)).not.toContain('leak');
    expect(JSON.stringify(got?.headers)).not.toContain(clientKey);
    const known = new Set([
      'accept-encoding',
      'authorization',
      'connection',
      'content-length',
      'content-type',
      'host',
      'user-agent',
      'x-request-id',
    ]);
    expect(Object.keys(got?.headers ?? {}).filter((name) => !known.has(name))).toEqual([]);
  });

  it('can not forge what comes back', async () => {
    script = echo;
    using client = new RawClient(router);
    client.send(request(JSON.stringify(ask()), { headers: ['x-request-id: a\tb', 'connection: close'] }));
    await client.untilClosed();
    expect(client.received).not.toContain('a\tb');
  });
});

describe('headers of a backend', () => {
  it.each(['triage', 'external'])('do not go back to the client, of the model %s', async (model) => {
    const answer = {
      'set-cookie': 'leak=1',
      server: 'leak',
      'openai-organization': 'leak',
      'x-request-id': 'leak',
      'x-cadre-backend': 'leak',
      location: 'leak',
      'access-control-allow-origin': 'leak',
    };
    script = json(vllmChat('fine'), 200, answer);
    const reply = await router.post(chatPath, ask({ model }));
    expect(reply.status).toBe(200);
    expect(JSON.stringify(reply.headers)).not.toContain('leak');
  });
});

describe('secrets', () => {
  const prompt = 'the patient in bed seven';
  const providerKey = 'provider-key';
  const wrongKey = 'sk-wrong-5f4dcc3b5aa765d61d8327deb882cf99';
  /** What backends do; each repeats what it was sent, its key too. */
  const scripts: Record<string, Script> = {
    answers: echo,
    'refuses the request': (got) => json({ error: { message: `no: ${got.raw}`, param: prompt } }, 400)(got),
    'refuses the key': (got) => json({ error: { message: `${got.headers.authorization}: ${got.raw}` } }, 401)(got),
    'fails with a page': (got) => json(`<html>${got.raw} ${got.headers.authorization}</html>`, 500)(got),
    'fails in a stream': (got) => stream(`data: {"error":{"message":${JSON.stringify(got.raw)}}}\n\n`)(got),
    'sends nonsense': (got) => stream(`data: ${got.raw} ${got.headers.authorization}\n\n`)(got),
    'breaks off': ({ response }) => void response.destroy(),
    redirects: (got) => json({}, 302, { location: `http://127.0.0.1:9/?${encodeURIComponent(got.raw)}` })(got),
  };

  it.each(Object.entries(scripts))('are in no line of the log when a backend %s', async (_, does) => {
    script = does;
    const before = router.logged().length;
    for (const model of ['triage', 'external']) {
      for (const streamed of [true, false]) {
        const body = ask({
          model,
          stream: streamed,
          messages: [{ role: 'user', content: `${prompt} marker-1` }],
          user: prompt,
        });
        const reply = await router.post(`${chatPath}?api_key=${wrongKey}`, body, {
          'x-api-key': wrongKey,
          cookie: wrongKey,
        });
        // A provider's key is nothing that a client may learn.
        expect(`${reply.text}${JSON.stringify(reply.headers)}`).not.toContain(providerKey);
      }
    }
    const log = router.logged().slice(before);
    expect(log).toContain('"requestId"');
    for (const secret of [clientKey, wrongKey, providerKey, prompt]) expect(log).not.toContain(secret);
  });

  it('are in no line of the log when a client makes a mistake, and in no answer', async () => {
    script = echo;
    const before = router.logged().length;
    const broken = [
      `{"model":"triage","messages":"${prompt}"`,
      `{"model":${prompt}}`,
      `["${prompt}"]`,
      `{"model":"${prompt}"}`,
    ];
    for (const text of broken) await router.post(chatPath, text);
    for (const authorization of [`Bearer ${wrongKey}`, `Basic ${wrongKey}`, wrongKey, `Bearer  ${wrongKey}`]) {
      const reply = await router.post(chatPath, ask({ messages: [prompt] }), { authorization });
      expect(reply.status).toBe(401);
      expect(reply.text).not.toContain(wrongKey);
      expect((await router.get('/v1/models', { authorization })).text).not.toContain(wrongKey);
    }
    await router.get(`/v1/nothing/${wrongKey}?${wrongKey}`);
    using raw = new RawClient(router);
    await raw.send(`POST /?${wrongKey} HTTP/1.1\r\nauthorization : Bearer ${wrongKey}\r\n\r\n`).untilClosed();
    const log = router.logged().slice(before);
    for (const secret of [clientKey, wrongKey, prompt]) expect(log).not.toContain(secret);
  });

  it('of clients are nowhere in memory that the table is made of: keys are looked up by their hash', () => {
    const table = inspect(router.context.routes.table, { depth: 12, maxArrayLength: null, maxStringLength: null });
    expect(table).toContain('support/triage');
    expect(table).not.toContain(clientKey);
  });

  it('of clients open nothing in parts, in another case, or with something more', async () => {
    script = echo;
    const wrong = [
      clientKey.slice(0, -1),
      `${clientKey}x`,
      clientKey.toUpperCase(),
      `${clientKey}, ${clientKey}`,
      `Bearer ${clientKey}`,
    ];
    for (const key of wrong)
      expect((await router.post(chatPath, ask(), { authorization: `Bearer ${key}` })).status).toBe(401);
  });

  it('of one provider go to that provider only, also when it fails and another backend answers', async () => {
    const failing: Script = json({ error: { message: 'later' } }, 503, { location: 'https://other.test/' });
    await using first = await startProvider(failing);
    await using second = await startProvider(failing);
    await using last = await startEngine(echo);
    await using own = await startRouter({
      routes: [
        aRoute([
          aProvider('first', first.baseUrl, { apiKey: 'key-of-first' }),
          aProvider('second', second.baseUrl, { apiKey: 'key-of-second' }),
          aModel('small'),
        ]),
      ],
      endpoints: { small: [last.origin] },
      config: loopback,
      resolve: answering(['127.0.0.1']),
      ca: [first.ca],
    });
    expect((await own.post(chatPath, ask())).status).toBe(200);
    const sent = [first.received, second.received, last.received].map((all) =>
      all.map(({ headers }) => headers.authorization),
    );
    expect(sent).toEqual([['Bearer key-of-first'], ['Bearer key-of-second'], [undefined]]);
  });
});
