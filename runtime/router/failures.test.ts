import { describe, expect, it } from 'vitest';
import { until } from '../../process/testing/waiting.ts';
import { chatChunk, llamaCut, llamaStream, vllmChat, vllmStream } from './testing/answers.ts';
import { event, json, reset, type Script, startEngine, stream } from './testing/engine.ts';
import { aModel, aRoute, clientKey, startRouter } from './testing/router.ts';

const chat = '/v1/chat/completions';
const ask = (over: object = {}) => ({ model: 'triage', messages: [{ role: 'user', content: 'hello' }], ...over });
const good = json(vllmChat('good'));
const goodStream = stream(vllmStream(['go', 'od']));

/** Two endpoints of one model, the first one chosen first. */
async function twoEndpoints(
  first: Script,
  second: Script,
  over: Parameters<typeof aRoute>[1] = {},
  engine: 'VLLM' | 'LlamaCpp' = 'VLLM',
) {
  const a = await startEngine(first);
  const b = await startEngine(second);
  const router = await startRouter({
    routes: [aRoute([aModel('small', { engine })], over)],
    endpoints: { small: [a.origin, b.origin] },
  });
  router.context.random = () => 0;
  const close = async () => {
    await router[Symbol.asyncDispose]();
    await a.kill();
    await b.kill();
  };
  return { a, b, router, [Symbol.asyncDispose]: close };
}

const busy = {
  error: { message: 'The engine is currently busy', type: 'Service Unavailable', param: null, code: 503 },
};
const dying = {
  error: { message: 'cannot schedule new futures after shutdown', type: 'InternalServerError', param: null, code: 500 },
};

describe('before the first byte has reached the client, another endpoint answers when one', () => {
  const faults: Record<string, Script> = {
    'resets the connection': reset,
    'resets it after the headers': ({ response }) => {
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': '1000' });
      response.write('{"id":', () => response.destroy());
    },
    'is dying (500)': json(dying, 500),
    'is busy (503)': json(busy, 503),
    'is loading (503)': json({ error: { message: 'Loading model', type: 'unavailable_error', code: 503 } }, 503),
    'limits requests (429)': json({ detail: 'slow down' }, 429),
    'ends with finish_reason abort': json(vllmChat('par', 'abort')),
    'sends no JSON': json('<html>'),
    'sends no choices': json({ id: 'x', choices: [] }),
    'sends an error with status 200': json({ error: { message: 'boom' } }),
    'sends a compressed answer': json(vllmChat('x'), 200, { 'content-encoding': 'gzip' }),
  };
  it.each(Object.entries(faults))('%s', async (_, fault) => {
    await using two = await twoEndpoints(fault, good);
    const reply = await two.router.post(chat, ask());
    expect([reply.status, reply.json.choices?.[0].message.content]).toEqual([200, 'good']);
    expect([two.a.received.length, two.b.received.length]).toEqual([1, 1]);
  });

  const streamFaults: Record<string, Script> = {
    'says that it is busy in the first event of a 200': stream(event(busy) + event('[DONE]')),
    'sends an event named error': stream(`event: error\ndata: {"message":"overloaded"}\n\n`),
    'ends before the first event': stream(': ping\n\n'),
    'ends inside of the first event': stream('data: {"choices":[{"ind'),
    'sends something else than a stream': json(vllmChat('x')),
    'sends an event that is no JSON': stream('data: oops\n\n'),
    'stops in the first event': stream(event(chatChunk({}, 'abort'))),
    'ends when it has said no more than its role': stream(event(chatChunk({ role: 'assistant', content: '' }))),
    'stops when it has said no more than its role': stream(
      event(chatChunk({ role: 'assistant', content: null })) + event(chatChunk({}, 'abort')),
    ),
  };
  it.each(Object.entries(streamFaults))('%s', async (_, fault) => {
    await using two = await twoEndpoints(fault, goodStream);
    const reply = await two.router.post(chat, ask({ stream: true }));
    expect(reply.text).toContain('"content":"go"');
    expect(reply.text).toMatch(/data: \[DONE\]\n\n$/);
    expect(reply.text).not.toContain('error');
    expect([two.a.received.length, two.b.received.length]).toEqual([1, 1]);
  });

  it('cuts a stream that is put together for a client who wants it whole', async () => {
    await using two = await twoEndpoints(stream(llamaCut(['par'])), stream(llamaStream(['good'])), {}, 'LlamaCpp');
    const reply = await two.router.post(chat, ask());
    expect(reply.json.choices[0].message.content).toBe('good');
  });

  it('is silent', async () => {
    const timeouts = { firstByteMs: 200, idleMs: 5_000, totalMs: 10_000 };
    await using two = await twoEndpoints(() => undefined, goodStream, { timeouts });
    const reply = await two.router.post(chat, ask({ stream: true }));
    expect(reply.text).toContain('"content":"go"');
    await until('the silent engine is left', () => two.a.last.gone);
  });

  it('refuses connections, and is then left alone for a while', async () => {
    await using two = await twoEndpoints(good, good);
    await two.a.kill();
    expect((await two.router.post(chat, ask())).status).toBe(200);
    const refused = () => two.router.metric('cadre_router_upstream_attempts_total', { outcome: 'ConnectFailed' });
    expect(await refused()).toBe(1);
    expect((await two.router.post(chat, ask())).status).toBe(200);
    expect(await refused()).toBe(1);
  });
});

describe('an engine that closes a kept connection just as it is used', () => {
  it('is asked once more when it is the only one', async () => {
    let first = true;
    await using engine = await startEngine((received) => {
      if (!first) return good(received);
      first = false;
      return reset(received);
    });
    await using router = await startRouter({
      routes: [aRoute([aModel('small')])],
      endpoints: { small: [engine.origin] },
    });
    expect((await router.post(chat, ask())).status).toBe(200);
    expect(engine.received.length).toBe(2);
  });
});

describe('a backend that fails', () => {
  it('is followed by those to fall back to, in their order', async () => {
    await using first = await startEngine(json(dying, 500));
    await using third = await startEngine(good);
    await using router = await startRouter({
      routes: [
        aRoute([aModel('first'), { name: 'second', kind: 'Unavailable', reason: 'BackendNotFound' }, aModel('third')]),
      ],
      endpoints: { first: [first.origin], third: [third.origin] },
    });
    const reply = await router.post(chat, ask());
    expect([reply.status, reply.headers['x-cadre-backend']]).toEqual([200, 'third']);
    expect(await router.metric('cadre_router_upstream_attempts_total', { outcome: 'Unavailable' })).toBe(1);
  });

  const ends: [string, Script, number, string, string][] = [
    ['500', json(dying, 500), 502, 'backend_failed', 'cannot schedule'],
    ['503', json(busy, 503, { 'retry-after': '7' }), 503, 'backend_overloaded', 'currently busy'],
    ['a wrong key', json({ error: 'Unauthorized: sk-secret' }, 401), 502, 'backend_failed', 'credentials'],
    [
      'an unknown model',
      json({ error: { message: 'The model `served` does not exist.', code: 404 } }, 404),
      502,
      'backend_failed',
      'does not exist',
    ],
    ['a redirect', json({}, 302, { location: 'http://127.0.0.1:1/' }), 502, 'backend_failed', 'redirect'],
    ['a reset', reset, 502, 'backend_failed', 'closed the connection'],
  ];
  it.each(ends)('with %s, and is the last, ends in an error that says so', async (_, script, status, code, message) => {
    await using engine = await startEngine(script);
    await using router = await startRouter({
      routes: [aRoute([aModel('small')])],
      endpoints: { small: [engine.origin] },
    });
    const reply = await router.post(chat, ask());
    expect([reply.status, reply.json.error.code, reply.json.error.type]).toEqual([status, code, 'server_error']);
    expect(reply.json.error.message).toContain(message);
    expect(reply.text).not.toContain('sk-secret');
    expect(reply.headers['retry-after']).toBe(status === 503 ? '7' : undefined);
    expect(router.logged()).toContain('request failed');
  });

  it('without a ready endpoint ends in 503 with retry-after', async () => {
    await using router = await startRouter({ routes: [aRoute([aModel('small')])] });
    const reply = await router.post(chat, ask());
    expect([reply.status, reply.json.error.code, reply.headers['retry-after']]).toEqual([503, 'no_endpoint', '5']);
  });
});

describe("a mistake in the client's request", () => {
  it.each<[string, unknown, object]>([
    [
      'of llama-server',
      {
        error: {
          code: 400,
          message: 'request (3031 tokens) exceeds the available context size (2048 tokens), try increasing it',
          type: 'exceed_context_size_error',
        },
      },
      { code: 'context_length_exceeded', param: null },
    ],
    [
      'of vLLM',
      {
        error: {
          message: "This model's maximum context length is 256 tokens.",
          type: 'BadRequestError',
          param: 'input_text',
          code: 400,
        },
      },
      { code: 'context_length_exceeded', param: 'input_text' },
    ],
    [
      "in FastAPI's shape",
      { detail: [{ loc: ['body'], msg: 'Field required' }] },
      { code: 'invalid_request', message: 'Field required' },
    ],
    ['in a word', { error: 'no' }, { code: 'invalid_request', message: 'no' }],
  ])('%s comes back in one shape and is not tried again', async (_, body, error) => {
    await using two = await twoEndpoints(json(body, 400), good);
    const reply = await two.router.post(chat, ask());
    expect(reply.status).toBe(400);
    expect(reply.json.error).toMatchObject({ type: 'invalid_request_error', ...error });
    expect(two.b.received.length).toBe(0);
  });
});

describe('deadlines', () => {
  it('an answer that does not begin ends in 504', async () => {
    await using engine = await startEngine(() => undefined);
    const timeouts = { firstByteMs: 100, idleMs: 5_000, totalMs: 10_000 };
    await using router = await startRouter({
      routes: [aRoute([aModel('small', { engine: 'LlamaCpp' })], { timeouts })],
      endpoints: { small: [engine.origin] },
    });
    const reply = await router.post(chat, ask());
    expect([reply.status, reply.json.error.code]).toEqual([504, 'backend_timeout']);
    expect(reply.json.error.message).toContain('timeouts.firstByte');
    await until('the engine is left', () => engine.last.gone);
  });

  it('an answer in one piece may take as long as the whole request', async () => {
    await using engine = await startEngine(() => undefined);
    const timeouts = { firstByteMs: 50, idleMs: 50, totalMs: 300 };
    await using router = await startRouter({
      routes: [aRoute([aModel('small')], { timeouts })],
      endpoints: { small: [engine.origin] },
    });
    const reply = await router.post(chat, ask());
    expect(reply.json.error.message).toContain('within 300 ms (timeouts.total)');
    expect(engine.received.length).toBe(1);
  });

  it('a stream that stops ends in an error event; comments are no sign of life', async () => {
    let pings: NodeJS.Timeout | undefined;
    await using engine = await startEngine(({ response }) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write(event(chatChunk({ content: 'a' })));
      pings = setInterval(() => response.write(': ping\n\n'), 20);
    });
    const timeouts = { firstByteMs: 5_000, idleMs: 200, totalMs: 10_000 };
    await using router = await startRouter({
      routes: [aRoute([aModel('small')], { timeouts })],
      endpoints: { small: [engine.origin] },
    });
    const reply = await router.post(chat, ask({ stream: true }));
    clearInterval(pings);
    expect(reply.status).toBe(200);
    expect(reply.text).toMatch(/^data: .*"content":"a".*\n\ndata: \{"error":.*timeouts\.idle.*\}\n\n$/);
    expect(reply.text).not.toContain('[DONE]');
  });
});

describe('after the first byte, a failure', () => {
  const start = event(chatChunk({ role: 'assistant', content: 'Hel' }));
  const faults: Record<string, Script> = {
    'by a stream that just ends': stream(start),
    'by a stream that ends inside of an event': stream(`${start}data: {"choi`),
    'by a reset': ({ response }) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write(start, () => setTimeout(() => response.destroy(), 50));
    },
    'by an abort': ({ response }) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write(start);
      setTimeout(() => response.end(event(chatChunk({}, 'abort')) + event('[DONE]')), 50);
    },
    'by an error event': ({ response }) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write(start);
      setTimeout(() => response.end(event({ error: { message: 'boom', code: 500 } }) + event('[DONE]')), 50);
    },
  };
  it.each(Object.entries(faults))('%s ends the stream with an error event and without [DONE]', async (_, fault) => {
    await using two = await twoEndpoints(fault, goodStream);
    const reply = await two.router.post(chat, ask({ stream: true }));
    expect(reply.text).toContain('"content":"Hel"');
    expect(reply.text).toMatch(/\n\ndata: \{"error":\{.*"type":"server_error".*\}\}\n\n$/);
    expect(reply.text).not.toContain('[DONE]');
    expect(two.b.received.length).toBe(0);
  });
});

describe('a stream', () => {
  it('comes with the public name, and with the usage only for who asked for it', async () => {
    await using engine = await startEngine(goodStream);
    await using router = await startRouter({
      routes: [aRoute([aModel('small')])],
      endpoints: { small: [engine.origin] },
    });
    const plain = await router.post(chat, ask({ stream: true, stream_options: { other: 1 } }));
    expect(engine.last.body['stream_options']).toEqual({ other: 1, include_usage: true });
    expect(plain.headers['content-type']).toBe('text/event-stream; charset=utf-8');
    expect(plain.text).toBe(
      [
        chatChunk({ role: 'assistant', content: '' }),
        chatChunk({ content: 'go' }),
        chatChunk({ content: 'od' }, 'stop'),
        '[DONE]',
      ]
        .map(event)
        .join('')
        .replaceAll('"model":"served"', '"model":"triage"'),
    );
    const asked = await router.post(chat, ask({ stream: true, stream_options: { include_usage: true } }));
    expect(asked.text).toContain('"usage":{');
    expect(await router.metric('cadre_router_tokens_total', { kind: 'completion' })).toBe(6);
  });

  it('stays whole when characters are split over chunks and lines end with CRLF', async () => {
    const text = 'čaj 🍵 مرحبا';
    const bytes = Buffer.from(vllmStream([text]).replaceAll('\n', '\r\n'));
    await using engine = await startEngine(async ({ response }) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      for (const byte of bytes) await new Promise((resolve) => response.write(Buffer.of(byte), resolve));
      response.end();
    });
    await using router = await startRouter({
      routes: [aRoute([aModel('small')])],
      endpoints: { small: [engine.origin] },
    });
    const reply = await router.post(chat, ask({ stream: true }));
    expect(reply.text).toContain(`"content":"${text}"`);
    expect(reply.text).not.toContain('\r');
    expect(reply.text).toMatch(/data: \[DONE\]\n\n$/);
  });

  it('is complete without the blank line after [DONE]', async () => {
    await using engine = await startEngine(stream(vllmStream(['x']).trimEnd()));
    await using router = await startRouter({
      routes: [aRoute([aModel('small')])],
      endpoints: { small: [engine.origin] },
    });
    expect((await router.post(chat, ask({ stream: true }))).text).toMatch(/data: \[DONE\]\n\n$/);
  });

  it('is ended at [DONE], also when the engine keeps the connection open', async () => {
    await using engine = await startEngine(({ response }) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' }).write(vllmStream(['x']));
    });
    await using router = await startRouter({
      routes: [aRoute([aModel('small')])],
      endpoints: { small: [engine.origin] },
    });
    expect((await router.post(chat, ask({ stream: true }))).text).toMatch(/data: \[DONE\]\n\n$/);
    await until('the connection is given up', () => engine.last.gone);
  });

  it('is read from the engine no faster than the client reads it', async () => {
    const piece = event(chatChunk({ content: 'x'.repeat(64 * 1024) }));
    const count = 600; // 38 MiB, more than all buffers on the way together
    let sent = 0;
    await using engine = await startEngine(async ({ response }) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      for (; sent < count; sent++) {
        if (!response.write(piece)) await new Promise((resolve) => response.once('drain', resolve));
      }
      response.end(event('[DONE]'));
    });
    await using router = await startRouter({
      routes: [aRoute([aModel('small')])],
      endpoints: { small: [engine.origin] },
    });
    const answer = await fetch(`${router.origin}${chat}`, request(ask({ stream: true })));
    const reader = (answer.body as ReadableStream<Uint8Array>).getReader();
    await reader.read();
    let before = -1;
    let still = 0;
    await until('the engine waits', () => {
      still = sent === before ? still + 1 : 0;
      before = sent;
      return still > 50;
    });
    expect(sent).toBeLessThan(count);
    let bytes = 0;
    for (let part = await reader.read(); !part.done; part = await reader.read()) bytes += part.value.length;
    expect(sent).toBe(count);
    expect(bytes).toBeGreaterThan(37 * 1024 * 1024);
  });

  it('to a client that reads nothing is cut off, and the engine is left', async () => {
    const piece = event(chatChunk({ content: 'x'.repeat(64 * 1024) }));
    await using engine = await startEngine(async ({ response }) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      const waiting = { go: () => undefined as void };
      for (const sign of ['drain', 'close']) response.on(sign, () => waiting.go());
      while (!response.destroyed) {
        if (response.write(piece)) continue;
        await new Promise<void>((resolve) => {
          waiting.go = resolve;
        });
      }
    });
    await using router = await startRouter({
      routes: [aRoute([aModel('small')])],
      endpoints: { small: [engine.origin] },
      config: { client: { writeTimeoutSeconds: 1 } },
    });
    const answer = await fetch(`${router.origin}${chat}`, request(ask({ stream: true })));
    await until('the engine is left', () => engine.received[0]?.gone);
    await answer.body?.cancel().catch(() => undefined);
    await until('the request is metered', () => router.logged().includes('"status":499'));
    expect(await router.metric('cadre_router_requests_in_flight')).toBe(0);
    expect(await router.metric('cadre_router_requests_total', { code: '499' })).toBe(1);
  });
});

describe('a client that leaves', () => {
  it.each([true, false])('stops the work of the engine (streamed: %s)', async (streamed) => {
    await using engine = await startEngine(({ response }) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      if (streamed) response.write(event(chatChunk({ content: 'a' })));
    });
    await using router = await startRouter({
      routes: [aRoute([aModel('small', { engine: 'LlamaCpp' })])],
      endpoints: { small: [engine.origin] },
    });
    const abort = new AbortController();
    const leaving = fetch(`${router.origin}${chat}`, {
      ...request(ask({ stream: streamed })),
      signal: abort.signal,
    }).then((answer) => answer.text());
    await engine.waitForRequests(1);
    if (streamed)
      await until('the stream has begun', () => router.context.endpoints.ready('support', 'small')[0]?.inFlight === 1);
    abort.abort();
    await expect(leaving).rejects.toThrow(/abort/);
    await until('the engine is left', () => engine.last.gone);
    await until('the request is metered', () => router.logged().includes('"status":499'));
    expect(await router.metric('cadre_router_requests_total', { code: '499' })).toBe(1);
    expect(engine.received.length).toBe(1);
    expect(router.context.endpoints.ready('support', 'small')[0]?.inFlight).toBe(0);
  });
});

function request(body: object): RequestInit {
  return {
    method: 'POST',
    headers: { authorization: `Bearer ${clientKey}` },
    body: JSON.stringify(body),
  };
}
