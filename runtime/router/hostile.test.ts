import { connect, type Socket } from 'node:net';
import { describe, expect, it } from 'vitest';
import { until } from '../../process/testing/waiting.ts';
import { vllmChat } from './testing/answers.ts';
import { json, type Script, startEngine, stream } from './testing/engine.ts';
import { aModel, aRoute, clientKey, startRouter } from './testing/router.ts';

const chat = '/v1/chat/completions';
const ask = (over: object = {}) => ({ model: 'triage', messages: [{ role: 'user', content: 'hello' }], ...over });
const mebibyte = 1024 * 1024;

/** An answer in pieces of a mebibyte, until nobody reads any more. */
const endless: Script = ({ response }) => {
  const piece = `data: {"choices":[{"index":0,"delta":{"content":"${'x'.repeat(mebibyte)}"}}]}\n\n`;
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  const more = (): void => {
    while (!response.destroyed) if (!response.write(piece)) break;
  };
  response.on('drain', more);
  more();
};

describe('an upstream that wants to exhaust the router', () => {
  it('by an answer without end is cut off', async () => {
    await using engine = await startEngine(endless);
    await using router = await startRouter({
      routes: [aRoute([aModel('small', { engine: 'LlamaCpp' })])],
      endpoints: { small: [engine.origin] },
    });
    const reply = await router.post(chat, ask());
    expect([reply.status, reply.json.error.code]).toEqual([502, 'backend_failed']);
    expect(reply.json.error.message).toContain('sent more than');
    await until('the engine sees the connection end', () => engine.last.gone);
  });

  it('by saying over and over who speaks is passed on', async () => {
    const role = { choices: [{ index: 0, delta: { role: 'assistant', content: '' } }] };
    await using engine = await startEngine(({ response }) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write(`data: ${JSON.stringify(role)}\n\n`.repeat(100));
    });
    await using router = await startRouter({
      routes: [aRoute([aModel('small')], { timeouts: { firstByteMs: 2_000, idleMs: 2_000, totalMs: 3_000 } })],
      endpoints: { small: [engine.origin] },
    });
    const reply = await router.post(chat, ask({ stream: true }));
    expect(reply.status).toBe(200);
    expect(reply.text).toContain('"assistant"');
    expect(reply.text).not.toContain('[DONE]');
  });

  it('by a list of vectors without end is cut off', async () => {
    await using engine = await startEngine(({ response }) => {
      response.writeHead(200, { 'content-type': 'application/json' });
      response.write('{"data":[');
      const more = (): void => {
        while (!response.destroyed) if (!response.write('0.123456789,'.repeat(100_000))) break;
      };
      response.on('drain', more);
      more();
    });
    await using router = await startRouter({
      routes: [aRoute([aModel('small', { task: 'Embedding' })])],
      endpoints: { small: [engine.origin] },
    });
    const reply = await router.post('/v1/embeddings', { model: 'triage', input: 'a' });
    expect(reply.status).toBe(502);
    expect(reply.json.error.message).toContain('sent more than 67108864 bytes');
  });

  it('by a huge error message has it cut, for the client and in the log', async () => {
    const error = { message: 'E'.repeat(5 * mebibyte), code: 500, param: 'p'.repeat(mebibyte) };
    await using engine = await startEngine(stream(`data: ${JSON.stringify({ error })}\n\n`));
    await using router = await startRouter({
      routes: [aRoute([aModel('small', { engine: 'LlamaCpp' })])],
      endpoints: { small: [engine.origin] },
    });
    const reply = await router.post(chat, ask());
    expect(reply.status).toBe(502);
    expect(reply.json.error.message).toContain('EEEE');
    expect(reply.text.length).toBeLessThan(20_000);
    expect(router.logged().length).toBeLessThan(50_000);
  });
});

it.each([
  { message: 'Incorrect API key provided: sk-secret', type: 'invalid_request_error', code: 'invalid_api_key' },
  { message: 'sk-secret may not', type: 'authentication_error' },
  { message: 'sk-secret may not', type: 'permission_error' },
])('what an upstream says of the router’s key in a stream is not for clients: %j', async (error) => {
  await using engine = await startEngine(stream(`data: ${JSON.stringify({ error })}\n\n`));
  await using router = await startRouter({
    routes: [aRoute([aModel('small', { engine: 'LlamaCpp' })])],
    endpoints: { small: [engine.origin] },
  });
  const reply = await router.post(chat, ask());
  expect([reply.status, reply.json.error.code]).toEqual([502, 'backend_failed']);
  expect(`${reply.text}${router.logged()}`).not.toContain('sk-secret');
});

describe('nesting deeper than the stack', () => {
  const deep = `${'{"a":'.repeat(100_000)}1${'}'.repeat(100_000)}`;

  it('in what the router reads of a request gets 400', async () => {
    await using engine = await startEngine(json(vllmChat('hi')));
    await using router = await startRouter({
      routes: [aRoute([aModel('small')])],
      endpoints: { small: [engine.origin] },
    });
    const reply = await router.post(chat, `{"model":"triage","messages":[],"stream":true,"stream_options":${deep}}`);
    expect([reply.status, reply.json.error.param]).toEqual([400, 'stream_options']);
  });

  it.each(['LlamaCpp', 'VLLM'] as const)('in an answer of %s is a failure of the backend', async (engineType) => {
    const piece = `{"choices":[{"index":0,"message":{"content":"a"},"text":"a","deep":${deep}}]}`;
    await using engine = await startEngine(({ response }) => {
      const streamed = engineType === 'LlamaCpp';
      response.writeHead(200, { 'content-type': streamed ? 'text/event-stream' : 'application/json' });
      response.end(streamed ? `data: ${piece}\n\ndata: [DONE]\n\n` : piece);
    });
    await using router = await startRouter({
      routes: [aRoute([aModel('small', { engine: engineType })], { output: { labels: ['a', 'b'] } })],
      endpoints: { small: [engine.origin] },
    });
    const reply = await router.post(chat, ask());
    expect([reply.status, reply.json.error.code]).toEqual([502, 'backend_failed']);
  });
});

describe('a client that wants to exhaust the router', () => {
  it('without a key that opens anything has nothing kept of its body', async () => {
    await using router = await startRouter({ routes: [aRoute([aModel('small')])] });
    const reply = await router.post(chat, '{"never parsed', { authorization: 'Bearer nobody' });
    expect([reply.status, reply.json.error.code]).toEqual([401, 'invalid_api_key']);
  });

  it('by not reading a whole answer is cut off', async () => {
    await using engine = await startEngine(json(vllmChat('x'.repeat(32 * mebibyte))));
    await using router = await startRouter({
      routes: [aRoute([aModel('small')])],
      endpoints: { small: [engine.origin] },
      config: { client: { writeTimeoutSeconds: 1 } },
    });
    let closed = false;
    router.server.once('connection', (accepted: Socket) => {
      accepted.once('close', () => {
        closed = true;
      });
    });
    const body = JSON.stringify(ask());
    const head = `POST ${chat} HTTP/1.1\r\nhost: a\r\nauthorization: Bearer ${clientKey}\r\n`;
    const socket = connect(Number(new URL(router.origin).port), '127.0.0.1');
    try {
      socket.on('error', () => undefined); // being cut off is what is waited for
      socket.pause();
      socket.write(`${head}content-length: ${body.length}\r\n\r\n${body}`);
      await until('the router ends the connection', () => closed);
      expect(await router.metric('cadre_router_requests_in_flight')).toBe(0);
    } finally {
      socket.destroy();
    }
  });
});
