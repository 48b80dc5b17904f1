import { describe, expect, it } from 'vitest';
import { makeCertificate } from '../../runtime/router/testing/provider.ts';
import { isLong } from '../support/measured.ts';
import { type Row, run } from './support/cell.ts';
import { breakOff, type Fault, http } from './support/fault-server.ts';
import { type Kind, kinds } from './support/kinds.ts';

/** Whatever happens is soon; 1 s outlasts the hiccups of a crowded machine. */
const impatient = { firstByteMs: 1_000, idleMs: 1_000, totalMs: 2_500 };
const failed = '502 backend_failed';
const late = '504 backend_timeout';

/** Answers every request with these bytes, and leaves the connection open. */
const says = (bytes: (kind: Kind) => string | Buffer) => (kind: Kind) => sends(bytes(kind));
const sends =
  (bytes: string | Buffer): Fault =>
  ({ socket }) =>
    void socket.write(bytes);
/** The same, and then ends the connection. */
const saysAndEnds =
  (bytes: (kind: Kind) => string) =>
  (kind: Kind) =>
  ({ socket }: Parameters<Fault>[0]) =>
    void socket.end(bytes(kind));
const silent: Fault = () => undefined;
const status = (code: number, headers: Record<string, string> = {}, body = '{"error":{"message":"no"}}') =>
  says(() => http(code, { 'content-type': 'application/json', ...headers }, body));

/** A part of the answer: of a stream, its first content and a piece of the next event. */
function half({ answer, content, type }: Kind): string {
  if (type === 'application/json') return answer.slice(0, Math.floor(answer.length / 2));
  const end = answer.indexOf('\n\n', answer.indexOf(content)) + 2;
  return answer.slice(0, end + 12);
}

const halfAnswer = (kind: Kind): string =>
  http(200, { 'content-type': kind.type, 'content-length': String(kind.answer.length) }, half(kind));
const begun = (kind: Kind): boolean => kind.relayed;
const cutOff = (kind: Kind): string => (begun(kind) ? 'broken backend_failed' : failed);
const good = (kind: Kind): string => http(200, { 'content-type': kind.type }, kind.answer);
const chunked = (kind: Kind, ...chunks: string[]): string =>
  http(200, { 'content-type': kind.type, 'transfer-encoding': 'chunked' }, chunks.join(''));
const chunk = (text: string): string => `${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`;
const endless = (head: string, piece: string) => () => endlessly(head, piece);
const endlessly =
  (head: string, piece: string): Fault =>
  ({ socket }) => {
    const more = (): void => {
      while (!socket.destroyed) if (!socket.write(piece)) break;
    };
    socket.on('drain', more);
    socket.write(head);
    more();
  };

const repeatedly =
  (piece: string): Fault =>
  ({ socket }) => {
    const timer = setInterval(() => socket.write(piece), 20);
    socket.on('close', () => clearInterval(timer));
  };

/** A row by what the backend does. */
type Rows = Readonly<Record<string, Row>>;

const connections: Rows = {
  'refuses connections': { fault: () => silent, refuses: true, ends: failed },
  'resets at once': {
    fault: () => silent,
    server: { onConnection: (socket) => (breakOff(socket), true) },
    ends: failed,
  },
  'resets when it has read the request': {
    fault:
      () =>
      ({ socket }) =>
        breakOff(socket),
    ends: failed,
    asked: 2,
  },
  'ends when it has read the request': {
    fault:
      () =>
      ({ socket }) =>
        void socket.end(),
    ends: failed,
    asked: 2,
  },
  'resets after the headers': {
    fault:
      (kind) =>
      ({ socket }) => {
        const head = http(200, { 'content-type': kind.type, 'content-length': '1000' }, '');
        socket.write(head, () => setTimeout(() => breakOff(socket), 20));
      },
    ends: failed,
    asked: 2,
  },
  'accepts and is silent': {
    fault: () => silent,
    timeouts: impatient,
    ends: late,
    // When the time for all attempts is over, nobody else is asked.
    endsWithSpare: (kind) => (kind.early ? 'spare' : late),
  },
  'sends headers and is silent': {
    fault: says((kind) => http(200, { 'content-type': kind.type, 'content-length': '1000' }, '')),
    timeouts: impatient,
    ends: late,
    endsWithSpare: (kind) => (kind.early ? 'spare' : late),
  },
  'sends informational answers for ever': {
    fault: () => repeatedly('HTTP/1.1 103 Early Hints\r\n\r\n'),
    timeouts: impatient,
    ends: late,
    endsWithSpare: (kind) => (kind.early ? 'spare' : late),
  },
};

const bodies: Rows = {
  'sends half a body and ends': {
    fault: saysAndEnds(halfAnswer),
    ends: cutOff,
    endsWithSpare: (kind) => (begun(kind) ? cutOff(kind) : 'spare'),
    asked: 2,
  },
  'sends half a body and resets': {
    fault:
      (kind) =>
      ({ socket }) =>
        void socket.write(halfAnswer(kind), () => setTimeout(() => breakOff(socket), 20)),
    ends: cutOff,
    endsWithSpare: (kind) => (begun(kind) ? cutOff(kind) : 'spare'),
    asked: 2,
  },
  'sends half a body and is silent': {
    fault: says(halfAnswer),
    timeouts: impatient,
    ends: (kind) => (begun(kind) ? 'broken backend_timeout' : late),
    endsWithSpare: (kind) => (begun(kind) ? 'broken backend_timeout' : 'spare'),
  },
  'sends half of its first event and ends': {
    of: ({ type }) => type === 'text/event-stream',
    fault: saysAndEnds((kind) =>
      http(200, { 'content-type': kind.type, connection: 'close' }, kind.answer.slice(0, 20)),
    ),
    ends: failed,
  },
  'ends its chunks before its answer': {
    fault: says((kind) => chunked(kind, chunk(half(kind)), '0\r\n\r\n')),
    ends: cutOff,
    endsWithSpare: (kind) => (begun(kind) ? cutOff(kind) : 'spare'),
    kept: true,
  },
  'sends chunks of a length that is no number': {
    fault: says((kind) => chunked(kind, 'zz\r\nwhat\r\n')),
    ends: failed,
  },
  'sends no body': { fault: says((kind) => http(200, { 'content-type': kind.type }, '')), ends: failed, kept: true },
  'answers 204': { fault: says(() => 'HTTP/1.1 204 No Content\r\n\r\n'), ends: failed, kept: true },
  'sends comments for ever': {
    of: ({ type }) => type === 'text/event-stream',
    fault: (kind) => (got) => {
      got.socket.write(http(200, { 'content-type': kind.type, connection: 'close' }, ''));
      repeatedly(': ping\n\n')(got);
    },
    timeouts: impatient,
    ends: late,
  },
  'sends one event without end': {
    of: ({ name }) => name === 'vLLM, streamed',
    fault: ({ type }) =>
      endlessly(http(200, { 'content-type': type, connection: 'close' }, 'data: {"a":"'), 'x'.repeat(65_536)),
    ends: failed,
  },
  'sends something that is not JSON': {
    fault: says((kind) => http(200, { 'content-type': kind.type }, 'data: {"choices":[oops\n\n')),
    ends: failed,
    kept: true,
  },
  'sends JSON that is no answer': {
    fault: says((kind) =>
      http(200, { 'content-type': kind.type }, kind.type.startsWith('text') ? 'data: [1]\n\n' : '[1]'),
    ),
    ends: failed,
    kept: true,
  },
  'sends an HTML page': {
    fault: says(() => http(200, { 'content-type': 'text/html' }, '<html><body>It works!</body></html>')),
    ends: failed,
    kept: true,
  },
  'sends a stream as JSON': {
    of: ({ type }) => type === 'text/event-stream',
    fault: says((kind) => http(200, { 'content-type': 'application/json' }, kind.answer)),
    ends: failed,
    kept: true,
  },
  'compresses its answer': {
    fault: says((kind) => http(200, { 'content-type': kind.type, 'content-encoding': 'gzip' }, '\u001f\u008b\u0008')),
    ends: failed,
    kept: true,
  },
  'compresses it several times': {
    fault: says((kind) => http(200, { 'content-type': kind.type, 'content-encoding': 'br, gzip' }, 'xx')),
    ends: failed,
    kept: true,
  },
};

const statuses: Rows = {
  'answers 429 with retry-after': {
    fault: status(429, { 'retry-after': '7' }),
    ends: '429 rate_limit_exceeded after 7',
    kept: true,
  },
  'answers 429 without retry-after': { fault: status(429), ends: '429 rate_limit_exceeded after 1', kept: true },
  'answers 429 with a retry-after that is nonsense': {
    fault: status(429, { 'retry-after': '-1e999 soon' }),
    ends: '429 rate_limit_exceeded after 1',
    kept: true,
  },
  'answers 429 with a retry-after of a thousand years': {
    fault: status(429, { 'retry-after': '9'.repeat(400) }),
    ends: '429 rate_limit_exceeded after 1',
    kept: true,
  },
  'answers 500': { fault: status(500), ends: failed, kept: true },
  'answers 500 without a body': { fault: status(500, {}, ''), ends: failed, kept: true },
  'answers 500 with a page': { fault: status(500, {}, '<html>\u0000\ufffd'.repeat(999)), ends: failed, kept: true },
  'answers 502': { fault: status(502), ends: failed, kept: true },
  'answers 503': { fault: status(503), ends: '503 backend_overloaded after 1', kept: true },
  'answers 504': { fault: status(504), ends: late, kept: true },
  'answers 599': { fault: status(599), ends: failed, kept: true },
  'answers 999': { fault: status(999), ends: failed, kept: true },
  'answers 401': { fault: status(401), ends: failed, kept: true },
  'answers 404': { fault: status(404), ends: failed, kept: true },
  'answers 400': {
    fault: status(400),
    ends: '400 invalid_request',
    endsWithSpare: '400 invalid_request',
    kept: true,
  },
  ...Object.fromEntries(
    [301, 302, 303, 304, 307, 308].map((code): [string, Row] => [
      `redirects with ${code}`,
      { fault: status(code, { location: 'http://127.0.0.1:9/v1/chat/completions' }, ''), ends: failed, kept: true },
    ]),
  ),
  'answers 500 without end': {
    fault: endless('HTTP/1.1 500 Oops\r\ntransfer-encoding: chunked\r\n\r\n', chunk('x'.repeat(65_536))),
    ends: failed,
  },
  'answers 500 and never ends it': {
    fault: says(() => 'HTTP/1.1 500 Oops\r\ncontent-length: 10\r\n\r\n{'),
    timeouts: impatient,
    ends: late,
  },
  'wants another protocol': {
    fault: says(() => 'HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n'),
    ends: failed,
    asked: 2,
  },
};

const manyHeaders = Object.fromEntries(Array.from({ length: 1_000 }, (_, i) => [`x-${i}`, 'y'.repeat(16)]));
const heads: Rows = {
  'sends a header of 100 KiB': {
    fault: says((kind) => http(200, { 'content-type': kind.type, x: 'y'.repeat(102_400) }, kind.answer)),
    ends: failed,
  },
  'sends 1,000 headers': {
    fault: says((kind) => http(200, { ...manyHeaders, 'content-type': kind.type }, kind.answer)),
    ends: failed,
  },
  'sends headers without end': {
    fault: endless('HTTP/1.1 200 OK\r\n', `x-more: ${'y'.repeat(4_000)}\r\n`),
    ends: failed,
  },
  'sends a header with a character that none may have': {
    fault: says((kind) => http(200, { 'content-type': kind.type, x: 'a\u0000b' }, kind.answer)),
    ends: failed,
  },
  'sends two lengths': {
    fault: says((kind) =>
      http(200, { 'content-type': kind.type, 'content-length': '5\r\ncontent-length: 6' }, 'hello!'),
    ),
    ends: failed,
    asked: 2,
  },
  'sends a length that is less than nothing': {
    fault: says((kind) => http(200, { 'content-type': kind.type, 'content-length': '-1' }, kind.answer)),
    ends: failed,
  },
  'sends a length and chunks': {
    fault: says((kind) =>
      http(200, { 'content-length': '5', 'transfer-encoding': 'chunked', a: kind.type }, '0\r\n\r\n'),
    ),
    ends: failed,
    asked: 2,
  },
  'goes on with a request that did not wait for it': {
    fault: says((kind) => `HTTP/1.1 100 Continue\r\n\r\n${good(kind)}`),
    ends: failed,
    asked: 2,
  },
  'speaks another protocol': { fault: says(() => 'SSH-2.0-OpenSSH_9.2\r\n'), ends: failed },
  'speaks HTTP of the future': { fault: says(() => 'HTTP/9.7 banana\r\n\r\n'), ends: failed },
};

const fine: Rows = {
  'answers in good order': { fault: says(good), ends: 'answer', endsWithSpare: 'answer', kept: true },
  'sends early hints before its answer': {
    fault: says((kind) => `HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n${good(kind)}`),
    ends: 'answer',
    endsWithSpare: 'answer',
    kept: true,
  },
  'ends its answer with its connection, as of old': {
    fault: saysAndEnds((kind) => `HTTP/1.0 200 OK\r\ncontent-type: ${kind.type}\r\n\r\n${kind.answer}`),
    ends: 'answer',
    endsWithSpare: 'answer',
  },
  'sends its answer in chunks of a byte': {
    fault: says((kind) => chunked(kind, ...Array.from(kind.answer, (byte) => chunk(byte)), '0\r\n\r\n')),
    ends: 'answer',
    endsWithSpare: 'answer',
    kept: true,
  },
  'sends another answer after the first': {
    fault: says((kind) => `${good(kind)}${good(kind).replaceAll(kind.content, 'poison')}`),
    ends: 'answer',
    endsWithSpare: 'answer',
  },
};

const { key, cert } = makeCertificate();
const isProvider = ({ model }: Kind): boolean => model === undefined;
const certificates: Rows = {
  'has a certificate of an unknown authority': {
    of: isProvider,
    fault: says(good),
    unknownAuthority: true,
    ends: failed,
    asked: 0,
  },
  'has a certificate of another name': {
    of: isProvider,
    fault: says(good),
    host: 'other.provider.test',
    ends: failed,
    asked: 0,
  },
  'has a certificate that is not the one that is trusted': {
    of: isProvider,
    fault: says(good),
    server: { tls: { key, cert } },
    ends: failed,
    asked: 0,
  },
  'speaks no TLS': {
    of: isProvider,
    plain: true,
    fault: () => silent,
    server: { onConnection: (socket) => (socket.resume().end('HTTP/1.1 400 Bad Request\r\n\r\n'), true) },
    ends: failed,
    asked: 0,
  },
  'never ends its handshake': {
    of: isProvider,
    plain: true,
    fault: () => silent,
    server: { onConnection: (socket) => (socket.resume(), true) },
    ends: failed,
    asked: 0,
  },
  'breaks off within its handshake': {
    of: isProvider,
    plain: true,
    fault: () => silent,
    server: { onConnection: (socket) => (breakOff(socket), true) },
    ends: failed,
  },
  'has a name that nobody knows': {
    of: isProvider,
    fault: says(good),
    resolve: (name, _, callback) =>
      callback(Object.assign(new Error(`getaddrinfo ENOTFOUND ${name}`), { code: 'ENOTFOUND' }), []),
    ends: failed,
    asked: 0,
  },
  'has a name that is never resolved': {
    of: isProvider,
    fault: says(good),
    resolve: () => undefined,
    ends: failed,
    asked: 0,
  },
  'has a name without an address': {
    of: isProvider,
    fault: says(good),
    resolve: (_name, _, callback) => callback(null, []),
    ends: failed,
    asked: 0,
  },
  'speaks TLS where nobody expects it': {
    of: (kind) => !isProvider(kind),
    fault: says(good),
    server: { tls: { key, cert } },
    ends: failed,
    asked: 0,
  },
};

describe.each<[string, Rows]>([
  ['all is well when a backend', fine],
  ['a backend that breaks its connection', connections],
  ['a backend that breaks its answer', bodies],
  ['a backend that answers with a status', statuses],
  ['a backend whose headers are absurd', heads],
  ['a backend that can not be trusted', certificates],
])('%s', (_, rows) => {
  it.each(Object.entries(rows).map(([does, row], at) => ({ does, row, at })))('$does', async ({ row, at }) => {
    const able = kinds.filter((kind) => row.of?.(kind) ?? true);
    // At full length, every kind; else every other one, of rows in turn.
    const among = isLong || able.length < 6 ? able : able.filter((_kind, i) => i % 2 === at % 2);
    const ended = await Promise.all(among.map(async (kind) => [kind.name, await run(row, kind)] as const));
    const expected = among.map((kind) => {
      const withSpare = of(row.endsWithSpare ?? 'spare', kind);
      return [kind.name, kind.judged ? { withSpare } : { alone: of(row.ends, kind), withSpare }];
    });
    expect(Object.fromEntries(ended)).toEqual(Object.fromEntries(expected));
  });
});

function of(ending: string | ((kind: Kind) => string), kind: Kind): string {
  return typeof ending === 'string' ? ending : ending(kind);
}
