import { connect } from 'node:net';
import { describe, expect, it } from 'vitest';
import { until } from '../../process/testing/waiting.ts';
import { llamaStream, vllmChat } from './testing/answers.ts';
import { event, json, startEngine, stream } from './testing/engine.ts';
import { aModel, aProvider, aRoute, clientKey, sha256, startRouter } from './testing/router.ts';

const chat = '/v1/chat/completions';
const ask = (over: object = {}) => ({ model: 'triage', messages: [{ role: 'user', content: 'hello' }], ...over });

describe('a chat', () => {
  it('is answered by the model of the policy, under its public name', async () => {
    await using engine = await startEngine(json(vllmChat('hi')));
    await using router = await startRouter({
      routes: [aRoute([aModel('small')])],
      endpoints: { small: [engine.origin] },
    });
    const reply = await router.post(chat, ask({ seed: 1, unknown: { kept: [1.0] } }));
    expect(reply.status).toBe(200);
    expect(reply.json).toEqual({ ...vllmChat('hi'), model: 'triage' });
    expect(reply.headers['x-cadre-backend']).toBe('small');
    expect(reply.headers['x-cadre-model']).toBe('small');
    expect(reply.headers['x-request-id']).toMatch(/^[\da-f-]{36}$/);
    expect(engine.last.path).toBe('/v1/chat/completions');
    expect(engine.last.body).toEqual({ ...ask({ seed: 1, unknown: { kept: [1] } }), model: 'served' });
  });

  it('reaches the engine byte for byte but for the model, without any header of the client', async () => {
    await using engine = await startEngine(json(vllmChat('hi')));
    await using router = await startRouter({
      routes: [aRoute([aModel('small')])],
      endpoints: { small: [engine.origin] },
    });
    const body = '{ "model":"triage",  "messages":[], "seed":18446744073709551615, "temperature":1.0 }';
    await router.post(chat, body, { 'x-request-id': 'mine-1', 'x-secret': 'shh', cookie: 'a=b' });
    expect(engine.last.raw).toBe(body.replace('triage', 'served'));
    expect(Object.keys(engine.last.headers).sort()).toEqual([
      'connection',
      'content-length',
      'content-type',
      'host',
      'x-request-id',
    ]);
    expect(engine.last.headers['x-request-id']).toBe('mine-1');
  });

  it('of llama-server is asked for as a stream and answered whole', async () => {
    await using engine = await startEngine(stream(llamaStream(['he', 'llo'])));
    await using router = await startRouter({
      routes: [aRoute([aModel('small', { engine: 'LlamaCpp' })])],
      endpoints: { small: [engine.origin] },
    });
    const reply = await router.post(chat, ask());
    expect(engine.last.body).toMatchObject({ stream: true, stream_options: { include_usage: true } });
    expect(reply.json).toEqual({
      choices: [{ index: 0, message: { role: 'assistant', content: 'hello' }, finish_reason: 'stop' }],
      created: 1_760_000_000,
      id: 'chatcmpl-2',
      model: 'triage',
      system_fingerprint: 'b11669-Debian',
      object: 'chat.completion',
      usage: expect.objectContaining({ total_tokens: 15 }) as unknown,
      timings: { cache_n: 0, prompt_n: 12, predicted_n: 3 },
    });
  });

  it('takes over a sane request id only', async () => {
    await using engine = await startEngine(json(vllmChat('hi')));
    await using router = await startRouter({
      routes: [aRoute([aModel('small')])],
      endpoints: { small: [engine.origin] },
    });
    expect((await router.post(chat, ask(), { 'x-request-id': 'a b"c' })).headers['x-request-id']).toMatch(
      /^[\da-f-]{36}$/,
    );
    expect((await router.post(chat, ask(), { 'x-request-id': 'trace:1.2_3' })).headers['x-request-id']).toBe(
      'trace:1.2_3',
    );
  });
});

describe('what a client does wrong', () => {
  const closed = { routes: [aRoute([aModel('small')])] };

  it.each([
    ['', 'it has no body'],
    ['{"model": x}', 'position 10 (line 1, column 11)'],
    ['{"model": "a"', 'it ends too early at position 13'],
    ['["model"]', 'must be a JSON object'],
    ['{"messages": []}', '"model" is required'],
    ['{"model": 4}', '"model" is required'],
    ['{"model":"triage","stream":"yes"}', '"stream" must be true or false'],
  ])('the body %j gets 400 that says where', async (body, message) => {
    await using router = await startRouter(closed);
    const reply = await router.post(chat, body);
    expect(reply.status).toBe(400);
    expect(reply.json).toEqual({
      error: {
        message: expect.stringContaining(body === '' ? 'no body' : message) as unknown,
        type: 'invalid_request_error',
        param: expect.toSatisfy((param) => param === null || typeof param === 'string') as unknown,
        code: expect.stringMatching(/^invalid_/) as unknown,
      },
    });
  });

  it('a body of 20 MiB gets 413, however it is sent', async () => {
    await using router = await startRouter(closed);
    const body = JSON.stringify({ model: 'triage', pad: 'x'.repeat(20 * 1024 * 1024) });
    const reply = await router.post(chat, body);
    expect(reply.status).toBe(413);
    expect(reply.json.error).toMatchObject({ code: 'request_too_large', type: 'invalid_request_error' });
    const init: RequestInit & { duplex: 'half' } = { method: 'POST', body: new Blob([body]).stream(), duplex: 'half' };
    const chunked = await fetch(`${router.origin}${chat}`, init);
    expect(chunked.status).toBe(413);
    await chunked.text();
  });

  it('a body that does not come gets 408, a compressed one 415, one that is not UTF-8 400', async () => {
    await using router = await startRouter({
      ...closed,
      config: { client: { headersTimeoutSeconds: 1, bodyTimeoutSeconds: 1 } },
    });
    const slow = await rawRequest(router.origin, `POST ${chat} HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\n{`);
    expect(slow).toMatch(/^HTTP\/1.1 408 /);
    expect(slow).toContain('"code":"request_timeout"');
    expect((await router.post(chat, '{}', { 'content-encoding': 'gzip' })).status).toBe(415);
    const headers = { authorization: `Bearer ${clientKey}` };
    const body = Buffer.from([0x7b, 0xff, 0x7d]);
    const binary = await fetch(`${router.origin}${chat}`, { method: 'POST', headers, body });
    expect(binary.status).toBe(400);
    await binary.text();
  });

  it('headers that do not end, or are not HTTP, get an error of the same shape', async () => {
    await using router = await startRouter({ ...closed, config: { client: { headersTimeoutSeconds: 1 } } });
    expect(await rawRequest(router.origin, `POST ${chat} HTTP/1.1\r\nhost`)).toContain('"code":"request_timeout"');
    expect(await rawRequest(router.origin, 'nonsense\r\n\r\n')).toContain('"code":"invalid_http"');
    const huge = `POST ${chat} HTTP/1.1\r\nx: ${'y'.repeat(40_000)}\r\n\r\n`;
    expect(await rawRequest(router.origin, huge)).toContain('"code":"headers_too_large"');
    const smuggled = `POST ${chat} HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n`;
    expect(await rawRequest(router.origin, smuggled)).toContain('"code":"invalid_http"');
  });

  it('a wrong key and no key get 401 without a word of the key', async () => {
    await using router = await startRouter(closed);
    const wrong = await router.post(chat, ask(), { authorization: 'Bearer sk-wrong-key' });
    expect(wrong.status).toBe(401);
    expect(wrong.json.error).toMatchObject({ type: 'authentication_error', code: 'invalid_api_key', param: null });
    expect(wrong.text).not.toContain('sk-wrong-key');
    const none = await router.post(chat, ask(), { authorization: '' });
    expect([none.status, none.json.error.code]).toEqual([401, 'missing_api_key']);
    expect(router.logged()).not.toContain('sk-wrong-key');
  });

  it('an unknown model and a forbidden one get the same 404, with the names that the key may use', async () => {
    const other = aRoute([aModel('small')], {
      policy: { namespace: 'sales', name: 'leads', uid: 'u2', generation: 1 },
      model: 'leads',
      access: { mode: 'Keys', keys: [{ name: 'crm', sha256: sha256('another key of at least 32 characters') }] },
    });
    await using router = await startRouter({ routes: [...closed.routes, other] });
    const [unknown, forbidden] = await Promise.all([
      router.post(chat, ask({ model: 'nope!' })),
      router.post(chat, ask({ model: 'leads' })),
    ]);
    expect([unknown.status, forbidden.status]).toEqual([404, 404]);
    expect(forbidden.text.replaceAll('leads', 'nope!')).toBe(unknown.text);
    expect(unknown.json.error).toMatchObject({ code: 'model_not_found', param: 'model' });
    expect(unknown.json.error.message).toMatch(/it may use: triage$/);
  });

  it('an unknown path gets 404, a wrong method 405', async () => {
    await using router = await startRouter(closed);
    const path = await router.get('/v1/nothing');
    expect([path.status, path.json.error.code]).toEqual([404, 'unknown_url']);
    expect((await router.get('/metricsx')).status).toBe(404);
    const method = await router.get(chat);
    expect([method.status, method.headers['allow'], method.json.error.code]).toEqual([
      405,
      'POST',
      'method_not_allowed',
    ]);
    expect((await router.post('/v1/models', {})).status).toBe(405);
  });

  it('a chat with a model that makes embeddings gets 400, and embeddings of one that writes', async () => {
    await using router = await startRouter({
      routes: [
        aRoute([aModel('vectors', { task: 'Embedding' })]),
        aRoute([aModel('small')], {
          policy: { namespace: 'support', name: 'writer', uid: 'u2', generation: 1 },
          model: 'writer',
        }),
      ],
    });
    const writing = await router.post(chat, ask());
    expect([writing.status, writing.json.error.code]).toEqual([400, 'unsupported_operation']);
    expect(writing.json.error.message).toContain('call /v1/embeddings');
    const embedding = await router.post('/v1/embeddings', { model: 'writer', input: 'a' });
    expect([embedding.status, embedding.json.error.code]).toEqual([400, 'unsupported_operation']);
  });
});

describe('names and keys', () => {
  it('a route answers to its long name, too', async () => {
    await using engine = await startEngine(json(vllmChat('hi')));
    await using router = await startRouter({
      routes: [aRoute([aModel('small')])],
      endpoints: { small: [engine.origin] },
    });
    expect((await router.post(chat, ask({ model: 'support/triage' }))).json.model).toBe('support/triage');
  });

  it('a route without keys answers to its long name with any key, and to the short one when that is granted', async () => {
    await using engine = await startEngine(json(vllmChat('hi')));
    const open = (shortName: boolean) => aRoute([aModel('small')], { access: { mode: 'Open', shortName } });
    await using router = await startRouter({ routes: [open(false)], endpoints: { small: [engine.origin] } });
    const anyone = { authorization: 'Bearer whatever' };
    expect((await router.post(chat, ask({ model: 'support/triage' }), anyone)).status).toBe(200);
    expect((await router.post(chat, ask(), anyone)).status).toBe(401);
    router.setRoutes([open(true)]);
    expect((await router.post(chat, ask(), anyone)).status).toBe(200);
  });

  it('one short name in two namespaces means the one whose key is sent', async () => {
    await using first = await startEngine(json(vllmChat('first')));
    await using second = await startEngine(json(vllmChat('second')));
    const key = 'another key of at least 32 characters';
    await using router = await startRouter({
      routes: [
        aRoute([aModel('first')]),
        aRoute([aModel('second')], {
          policy: { namespace: 'sales', name: 'triage', uid: 'u2', generation: 1 },
          access: { mode: 'Keys', keys: [{ name: 'crm', sha256: sha256(key) }] },
        }),
      ],
      endpoints: { first: [first.origin], second: [second.origin] },
    });
    expect((await router.post(chat, ask())).json.choices[0].message.content).toBe('first');
    const other = await router.post(chat, ask(), { authorization: `bearer ${key}` });
    expect(other.json.choices[0].message.content).toBe('second');
  });

  it('GET /v1/models lists what the key may use', async () => {
    const open = aRoute([aModel('small')], {
      policy: { namespace: 'demo', name: 'free', uid: 'u2', generation: 1 },
      access: { mode: 'Open', shortName: false },
    });
    await using router = await startRouter({ routes: [aRoute([aModel('small')]), open] });
    const list = await router.get('/v1/models');
    expect(list.json).toEqual({
      object: 'list',
      data: [
        { id: 'demo/free', object: 'model', created: 1_760_000_000, owned_by: 'demo' },
        { id: 'triage', object: 'model', created: 1_760_000_000, owned_by: 'support' },
      ],
    });
    expect((await router.get('/v1/models/demo%2Ffree')).json.id).toBe('demo/free');
    expect((await router.get('/v1/models/support/triage')).json.id).toBe('support/triage');
    expect((await router.get('/v1/models/nope')).status).toBe(404);
    router.setRoutes([aRoute([aModel('small')])]);
    expect((await router.get('/v1/models', { authorization: 'Bearer no' })).status).toBe(401);
  });
});

describe('the split', () => {
  it('divides requests by weight, and a request in flight keeps its route', async () => {
    await using a = await startEngine(json(vllmChat('a')));
    await using b = await startEngine(json(vllmChat('b')));
    const split = [
      { backend: 'a', weight: 3 },
      { backend: 'b', weight: 1 },
    ];
    await using router = await startRouter({
      routes: [aRoute([aModel('a'), aModel('b')], { split, fallback: [] })],
      endpoints: { a: [a.origin], b: [b.origin] },
    });
    const points = Array.from({ length: 16 }, (_, i) => i / 16);
    for (const point of points) {
      router.context.random = () => point;
      await router.post(chat, ask());
    }
    expect([a.received.length, b.received.length]).toEqual([12, 4]);
  });
});

describe('embeddings', () => {
  const vectors = (size: number) => ({
    object: 'list',
    data: [{ object: 'embedding', index: 0, embedding: Array.from({ length: size }, (_, i) => i / 7) }],
    model: 'served',
    usage: { prompt_tokens: 5, total_tokens: 5 },
  });

  it.each([8, 20_000])('of %i numbers come back as they were sent', async (size) => {
    await using engine = await startEngine(json(vectors(size)));
    await using router = await startRouter({
      routes: [aRoute([aModel('v', { task: 'Embedding', engine: 'LlamaCpp' })], { output: { labels: ['a', 'b'] } })],
      endpoints: { v: [engine.origin] },
    });
    const reply = await router.post('/v1/embeddings', { model: 'triage', input: 'text', encoding_format: 'float' });
    expect(reply.json).toEqual({ ...vectors(size), model: 'triage' });
    expect(engine.last.body).toEqual({ model: 'served', input: 'text', encoding_format: 'float' });
    expect(await router.metric('cadre_router_tokens_total', { kind: 'prompt' })).toBe(5);
  });
});

describe('metering', () => {
  it('counts requests, attempts and the tokens that the engine counted, and logs no prompt', async () => {
    await using engine = await startEngine(stream(llamaStream(['a', 'b'])));
    await using router = await startRouter({
      routes: [aRoute([aModel('gone'), aModel('small', { engine: 'LlamaCpp' })])],
      endpoints: { small: [engine.origin] },
    });
    await router.post(chat, ask({ messages: [{ role: 'user', content: 'a secret thing' }] }));
    const of = { policy: 'support/triage', backend: 'small' };
    expect(await router.metric('cadre_router_requests_total', { ...of, code: '200' })).toBe(1);
    expect(
      await router.metric('cadre_router_upstream_attempts_total', { backend: 'gone', outcome: 'NoEndpoint' }),
    ).toBe(1);
    expect(await router.metric('cadre_router_upstream_attempts_total', { ...of, outcome: 'Answered' })).toBe(1);
    expect(await router.metric('cadre_router_tokens_total', { ...of, kind: 'prompt' })).toBe(12);
    expect(await router.metric('cadre_router_tokens_total', { ...of, kind: 'completion' })).toBe(3);
    expect(await router.metric('cadre_router_tokens_total', { ...of, kind: 'cached' })).toBe(4);
    expect(await router.metric('cadre_router_requests_in_flight')).toBe(0);
    const { text } = await router.get('/metrics');
    const series = '{policy="support/triage",backend="small",le="120"} 1\n';
    expect(text).toContain('# TYPE cadre_router_request_duration_seconds histogram\n');
    expect(text).toContain(`cadre_router_request_duration_seconds_bucket${series}`);
    expect(text).toContain('cadre_router_request_duration_seconds_count{policy="support/triage",backend="small"} 1\n');
    expect(router.logged()).toContain('"key":"web"');
    expect(router.logged()).not.toContain('a secret thing');
    expect(router.logged()).not.toContain(clientKey);
  });

  it.each([400, 404, 429, 500, 503, 504])(
    'logs that a backend answered %i, not its words, which may repeat a prompt or an answer',
    async (status) => {
      const error = { message: 'cannot parse: a secret thing', type: 'a secret type', code: 'a secret code' };
      await using engine = await startEngine(json({ error }, status));
      await using router = await startRouter({
        routes: [aRoute([aModel('gone'), aModel('small')])],
        endpoints: { small: [engine.origin] },
      });
      const reply = await router.post(chat, ask());
      expect(reply.json.error.message).toContain('a secret thing');
      expect(router.logged()).toContain(`"why":"answered with status ${status}"`);
      expect(router.logged()).not.toContain('secret');
    },
  );

  it('logs that a backend sent an error as its answer, not its words', async () => {
    const error = { message: 'a secret thing', code: 500 };
    for (const streamed of [false, true]) {
      await using engine = await startEngine(streamed ? stream(event({ error })) : json({ error }));
      await using router = await startRouter({
        routes: [aRoute([aModel('small')])],
        endpoints: { small: [engine.origin] },
      });
      const reply = await router.post(chat, ask({ stream: streamed }));
      expect(reply.status).toBe(502);
      expect(router.logged()).toContain('"why":"answered with an error, as of status 500"');
      expect(router.logged()).not.toContain('secret');
    }
  });

  it('answers the probes on the same port when they have none of their own', async () => {
    await using router = await startRouter({ routes: [] });
    expect((await router.get('/readyz')).status).toBe(200);
    router.context.draining = true;
    const draining = await router.get('/readyz');
    expect([draining.status, draining.headers['connection']]).toEqual([503, 'close']);
    expect((await router.get('/metrics')).text).toContain('cadre_router_requests_total');
  });
});

describe('a provider', () => {
  it('at an address inside of the cluster is refused, by number and by name', async () => {
    for (const url of [
      'https://127.0.0.1:9/v1',
      'https://[::ffff:10.0.0.1]/v1',
      'https://2130706433/v1',
      'https://localhost/v1',
    ]) {
      await using router = await startRouter({ routes: [aRoute([aProvider('flagship', url)])] });
      const reply = await router.post(chat, ask());
      expect([reply.status, reply.json.error.code]).toEqual([502, 'backend_failed']);
      expect(router.logged()).toContain('is refused');
      expect(await router.metric('cadre_router_upstream_attempts_total', { outcome: 'AddressRefused' })).toBe(1);
    }
  });
});

/** What a server answers to bytes, until it closes the connection. */
async function rawRequest(origin: string, text: string): Promise<string> {
  const socket = connect(Number(new URL(origin).port), '127.0.0.1');
  let answer = '';
  let ended = false;
  socket.on('data', (chunk: Buffer) => {
    answer += chunk.toString();
  });
  socket.on('close', () => {
    ended = true;
  });
  socket.on('error', () => undefined); // a reset after the answer is the server's right
  socket.write(text);
  await until('the server closes the connection', () => ended);
  return answer;
}
