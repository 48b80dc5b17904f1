import { describe, expect, it } from 'vitest';
import { until } from '../../process/testing/waiting.ts';
import { vllmChat } from '../../runtime/router/testing/answers.ts';
import { event, json, type Script, startEngine } from '../../runtime/router/testing/engine.ts';
import { answering, certificate, providerHost } from '../../runtime/router/testing/provider.ts';
import {
  aModel,
  aProvider,
  aRoute,
  clientKey,
  startRouter,
  type TestRouter,
} from '../../runtime/router/testing/router.ts';
import { echo } from './support/echo.ts';
import { FaultServer, http } from './support/fault-server.ts';
import { kinds } from './support/kinds.ts';
import { chatPath, RawClient, request, untilIdle } from './support/raw-client.ts';

const body = (marker = 'marker-0', over: object = {}): string =>
  JSON.stringify({ model: 'triage', messages: [{ role: 'user', content: marker }], ...over });
const client = { headersTimeoutSeconds: 1, bodyTimeoutSeconds: 1 };

async function oneEngine(script: Script = echo, config: Parameters<typeof startRouter>[0]['config'] = {}) {
  const engine = await startEngine(script);
  const router = await startRouter({
    routes: [aRoute([aModel('small')])],
    endpoints: { small: [engine.origin] },
    config: { ...config },
  });
  const close = async () => {
    await router[Symbol.asyncDispose]();
    await engine.kill();
  };
  return { engine, router, [Symbol.asyncDispose]: close };
}

const connections = (router: TestRouter): Promise<number> =>
  new Promise((resolve, reject) => {
    router.server.getConnections((error, count) => (error ? reject(error) : resolve(count)));
  });

/** Nothing is left of a client: no request, no connection, and no word of it in the log as of a mistake of ours. */
async function untilForgotten(router: TestRouter): Promise<void> {
  await untilIdle(router, ['small']);
  let left = 1;
  await until('the connection is forgotten', () => {
    void connections(router).then((count) => (left = count));
    return left === 0;
  });
  expect(router.logged()).not.toMatch(/failed outside|nobody thought of/);
}

describe('a client that leaves', () => {
  const whole = request(body());
  const parts: Record<string, string> = {
    'before it has sent anything': '',
    'within the request line': whole.slice(0, 9),
    'within its headers': whole.slice(0, 60),
    'within its body': whole.slice(0, -10),
    'within a chunk': `POST ${chatPath} HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nff\r\n{"model":`,
  };
  const ways: [string, (socket: RawClient['socket']) => void][] = [
    ['with a reset', (socket) => void socket.resetAndDestroy()],
    ['by closing', (socket) => void socket.end()],
  ];
  describe.each(ways)('%s', (_, leave) => {
    it.each(Object.entries(parts))('%s is forgotten, and nobody is asked', async (_part, bytes) => {
      await using one = await oneEngine();
      using raw = new RawClient(one.router);
      if (bytes) raw.send(bytes);
      await until('the connection is there', () => raw.socket.readyState === 'open');
      leave(raw.socket);
      await untilForgotten(one.router);
      expect(one.engine.received.length).toBe(0);
    });
  });

  it.each(kinds.filter(({ judged }) => !judged))('while it waits stops the work of: $name', async (kind) => {
    const { key, cert } = certificate();
    await using server = await new FaultServer(() => undefined, {
      tls: kind.model ? undefined : { key, cert },
    }).start();
    const baseUrl = `https://${providerHost}:${server.port}/v1`;
    await using router = await startRouter({
      routes: [
        aRoute(
          [kind.model ? aModel('small', kind.model) : aProvider('small', baseUrl, kind.provider), aModel('spare')],
          {
            output: kind.output,
          },
        ),
      ],
      endpoints: { small: [server.origin] },
      config: { providers: { allowedCIDRs: ['127.0.0.0/8'] } },
      resolve: answering(['127.0.0.1']),
      ca: [cert],
    });
    using raw = new RawClient(router);
    raw.send(request(JSON.stringify({ model: 'triage', ...kind.request }), { path: kind.path }));
    await until('the backend is asked', () => server.requests.length === 1);
    raw.socket.resetAndDestroy();
    await server.untilLeft();
    await untilIdle(router, ['small']);
    // Nobody waits any more: nobody else is asked, nor the same one again.
    expect(server.requests.length).toBe(1);
    expect(await router.metric('cadre_router_requests_total', { code: '499' })).toBe(1);
  });

  it.each(kinds.filter(({ relayed }) => relayed))('within its stream stops the work of: $name', async (kind) => {
    const { key, cert } = certificate();
    const first = `${kind.answer.slice(0, kind.answer.indexOf('\n\n', kind.answer.indexOf(kind.content)))}\n\n`;
    const begin = http(200, { 'content-type': kind.type, connection: 'close' }, first);
    const tls = kind.model ? undefined : { key, cert };
    await using server = await new FaultServer(({ socket }) => void socket.write(begin), { tls }).start();
    await using router = await startRouter({
      routes: [
        aRoute([
          kind.model
            ? aModel('small', kind.model)
            : aProvider('small', `https://${providerHost}:${server.port}/v1`, kind.provider),
        ]),
      ],
      endpoints: { small: [server.origin] },
      config: { providers: { allowedCIDRs: ['127.0.0.0/8'] } },
      resolve: answering(['127.0.0.1']),
      ca: [cert],
    });
    using raw = new RawClient(router);
    raw.send(request(JSON.stringify({ model: 'triage', ...kind.request })));
    await raw.untilReceived(kind.content);
    raw.socket.resetAndDestroy();
    await server.untilLeft();
    await untilIdle(router, ['small']);
    expect(await router.metric('cadre_router_requests_total', { code: '499' })).toBe(1);
  });
});

describe('a client that is slow', () => {
  /** Sends a byte now and then, for as long as it is let. */
  function drip(raw: RawClient, bytes: string): NodeJS.Timeout {
    let at = 0;
    return setInterval(() => raw.send(bytes[at++ % bytes.length] ?? 'x'), 50);
  }

  it.each([
    ['its headers', `POST ${chatPath} HTTP/1.1\r\nx-slow: `],
    [
      'its body',
      `POST ${chatPath} HTTP/1.1\r\nhost: a\r\nauthorization: Bearer ${clientKey}\r\ncontent-length: 99999\r\n\r\n`,
    ],
    [
      'a chunk of its body',
      `POST ${chatPath} HTTP/1.1\r\nhost: a\r\nauthorization: Bearer ${clientKey}\r\ntransfer-encoding: chunked\r\n\r\nfffff\r\n`,
    ],
  ])('with %s gets 408, however many bytes it drips', async (_, start) => {
    await using one = await oneEngine(echo, { client });
    using raw = new RawClient(one.router);
    const dripping = drip(raw.send(start), 'loris');
    try {
      expect(await raw.untilClosed()).toContain('"code":"request_timeout"');
    } finally {
      clearInterval(dripping);
    }
    expect(raw.statuses).toEqual([408]);
    await untilForgotten(one.router);
    expect(one.engine.received.length).toBe(0);
  });
});

describe('a client that sends too much', () => {
  it.each([
    ['a header of 100 KiB', `POST ${chatPath} HTTP/1.1\r\nx: ${'y'.repeat(102_400)}\r\n\r\n`],
    ['10,000 headers', `POST ${chatPath} HTTP/1.1\r\n${'x: y\r\n'.repeat(10_000)}\r\n`],
    ['a path of 100 KiB', `POST /${'v1/'.repeat(34_000)} HTTP/1.1\r\nhost: a\r\n\r\n`],
  ])('%s gets 431', async (_, bytes) => {
    await using one = await oneEngine();
    using raw = new RawClient(one.router);
    expect(await raw.send(bytes).untilClosed()).toContain('"code":"headers_too_large"');
    expect(raw.statuses).toEqual([431]);
    await untilForgotten(one.router);
  });

  it('chunks without end gets 413 and is cut off, and nothing of them is kept', async () => {
    await using one = await oneEngine(echo, { bodyLimitBytes: 1024 });
    using raw = new RawClient(one.router);
    const lines = ['host: a', `authorization: Bearer ${clientKey}`, 'transfer-encoding: chunked'];
    raw.send(`POST ${chatPath} HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`);
    const chunk = `100000\r\n${' '.repeat(1024 * 1024)}\r\n`;
    const more = (): void => {
      while (!raw.closed) if (!raw.socket.write(chunk)) break;
    };
    raw.socket.on('drain', more);
    more();
    await raw.untilReceived('"code":"request_too_large"');
    await raw.untilClosed();
    await untilForgotten(one.router);
    expect(one.engine.received.length).toBe(0);
  });

  it('requests at once on one connection gets its answers, in its order', async () => {
    await using one = await oneEngine();
    using raw = new RawClient(one.router);
    const markers = Array.from({ length: 50 }, (_, i) => `marker-${i}a`);
    raw.send(markers.map((marker, i) => request(body(marker, { stream: i % 3 === 0 }))).join(''));
    await raw.untilReceived('marker-49a');
    expect(raw.received.match(/marker-[0-9]+a/g)).toEqual(markers);
    raw.socket.end();
    await untilForgotten(one.router);
  });
});

describe('what is not a request', () => {
  it.each<[string, string | Buffer]>([
    ['of HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
    ['of TLS', Buffer.from([0x16, 3, 1, 0, 0xa5, 1, 0, 0, 0xa1, 3, 3])],
    ['of SSH', 'SSH-2.0-OpenSSH_9.2\r\n'],
    ['of a redis', '*1\r\n$4\r\nPING\r\n'],
    ['with a method that does not exist', request(body(), { method: 'BREW' })],
    ['without a host', `POST ${chatPath} HTTP/1.1\r\ncontent-length: 2\r\n\r\n{}`],
  ])('%s gets 400', async (_, bytes) => {
    await using one = await oneEngine();
    using raw = new RawClient(one.router);
    await raw.send(bytes).untilClosed();
    expect(raw.statuses).toEqual([400]);
    await untilForgotten(one.router);
  });

  it.each([
    ['CONNECT', 'CONNECT engine:8000 HTTP/1.1\r\nhost: engine:8000\r\n\r\n'],
    ['an upgrade', `GET /v1/models HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n`],
  ])('%s opens no tunnel', async (_, bytes) => {
    await using one = await oneEngine();
    using raw = new RawClient(one.router);
    raw.send(bytes);
    await until('it is refused', () => raw.closed || raw.received.includes('\r\n\r\n'));
    expect(raw.received).not.toMatch(/^HTTP\/1\.1 (101|2)/);
    expect(one.engine.received.length).toBe(0);
  });

  it('after a request that is being answered does not get in between its answer', async () => {
    let answer = (): void => undefined;
    await using one = await oneEngine(({ response }) => {
      answer = () => void json(vllmChat('late'))({ response } as Parameters<Script>[0]);
    });
    using raw = new RawClient(one.router);
    raw.send(request(body()));
    await one.engine.waitForRequests(1);
    raw.send('no request\r\n\r\n');
    await until('the connection ends, or an answer comes', () => raw.closed || raw.received !== '');
    answer();
    await raw.untilClosed();
    // What is not HTTP gets no answer of its own where it would be taken for that of the request before it.
    expect(raw.received).toBe('');
    await untilForgotten(one.router);
  });

  it('after a stream that has begun does not get into it', async () => {
    await using one = await oneEngine(({ response }) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write(event({ choices: [{ index: 0, delta: { content: 'begun' } }] }));
    });
    using raw = new RawClient(one.router);
    raw.send(request(body('marker-0', { stream: true })));
    await raw.untilReceived('begun');
    raw.send('no request\r\n\r\n');
    await raw.untilClosed();
    expect(raw.statuses).toEqual([200]);
    expect(raw.received).not.toContain('invalid_http');
    await until('the engine is left', () => one.engine.last.gone);
    await untilForgotten(one.router);
  });
});

describe('expect', () => {
  it('100-continue is told to go on', async () => {
    await using one = await oneEngine();
    using raw = new RawClient(one.router);
    const text = body();
    const [head = ''] = request(text, { headers: ['expect: 100-continue'] }).split('\r\n\r\n');
    raw.send(`${head}\r\n\r\n`);
    await raw.untilReceived('HTTP/1.1 100 Continue');
    await raw.send(text).untilReceived('marker-0');
    expect(raw.statuses).toEqual([100, 200]);
  });

  it('anything else gets 417', async () => {
    await using one = await oneEngine();
    using raw = new RawClient(one.router);
    raw.send(request(body(), { headers: ['expect: wonders'] }));
    await raw.untilReceived('HTTP/1.1 417');
    expect(one.engine.received.length).toBe(0);
  });
});
