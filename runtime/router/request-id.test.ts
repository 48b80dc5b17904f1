import { once } from 'node:events';
import { connect } from 'node:net';
import { describe, expect, it } from 'vitest';
import { vllmChat } from './testing/answers.ts';
import { json, startEngine } from './testing/engine.ts';
import { aModel, aRoute, startRouter } from './testing/router.ts';

/** What comes back for these bytes, until the connection ends. */
async function exchanged(origin: string, bytes: string): Promise<string> {
  const { hostname, port } = new URL(origin);
  const socket = connect(Number(port), hostname);
  let text = '';
  socket.setEncoding('utf8').on('data', (part: string) => (text += part));
  socket.on('error', () => undefined);
  socket.end(bytes);
  await once(socket, 'close');
  return text;
}

const close = 'connection: close\r\n';
const post = (path: string, body: string, more = ''): string =>
  `POST ${path} HTTP/1.1\r\nhost: x\r\n${close}${more}content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;

describe('every answer has a request id', () => {
  it.each([
    ['a path that does not exist', `GET /v2/x HTTP/1.1\r\nhost: x\r\n${close}\r\n`, 404],
    ['another method', `GET /v1/responses HTTP/1.1\r\nhost: x\r\n${close}\r\n`, 405],
    ['another method on models', `DELETE /v1/models HTTP/1.1\r\nhost: x\r\n${close}\r\n`, 405],
    ['models', `GET /v1/models HTTP/1.1\r\nhost: x\r\n${close}\r\n`, 200],
    ['a body that is no JSON', post('/v1/chat/completions', '{'), 400],
    ['a model that the key may not use', post('/v1/classify', '{"model":"nope","input":"x"}'), 401],
    ['an encoding that is not supported', post('/v1/classify', 'x', 'content-encoding: br\r\n'), 415],
    ['no host', 'GET /v1/models HTTP/1.1\r\n\r\n', 400],
    ['an expectation', post('/v1/responses', '{}', 'expect: miracles\r\n'), 417],
    ['no HTTP', 'what is this?\r\n\r\n', 400],
    ['headers that are too large', `GET / HTTP/1.1\r\nhost: x\r\nx: ${'x'.repeat(20_000)}\r\n\r\n`, 431],
  ])('%s', async (_name, bytes, status) => {
    const route = aRoute([aModel('small')], { access: { mode: 'Open', shortName: true } });
    await using router = await startRouter({ routes: [route] });
    const answer = await exchanged(router.origin, bytes);
    expect(answer).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
    expect(answer).toMatch(/\r\nx-request-id: [\w-]{36}\r\n/i);
    const body = JSON.parse(answer.slice(answer.indexOf('\r\n\r\n'))) as object;
    expect(Object.keys(body)).toContain(status === 200 ? 'data' : 'error');
  });

  it('the client’s own where it has one', async () => {
    await using engine = await startEngine(json(vllmChat('x')));
    await using router = await startRouter({
      routes: [aRoute([aModel('small')])],
      endpoints: { small: [engine.origin] },
    });
    const own = { 'x-request-id': 'mine-1' };
    const paths = ['/v1/chat/completions', '/v1/responses', '/v1/classify'];
    const replies = await Promise.all(
      paths.map((path) => router.post(path, { model: 'triage', messages: [], input: 'x' }, own)),
    );
    expect(replies.map(({ status }) => status)).toEqual([200, 200, 400]);
    for (const { headers } of replies) expect(headers['x-request-id']).toBe('mine-1');
    expect(engine.received.map(({ headers }) => headers['x-request-id'])).toEqual(['mine-1', 'mine-1']);
  });
});
