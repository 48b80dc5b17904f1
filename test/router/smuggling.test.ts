import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startEngine, type TestEngine } from '../../runtime/router/testing/engine.ts';
import { aModel, aRoute, clientKey, startRouter, type TestRouter } from '../../runtime/router/testing/router.ts';
import { echo } from './support/echo.ts';
import { chatPath, RawClient, request, untilIdle } from './support/raw-client.ts';

/** What an attacker wants to have taken for a request of somebody else's. */
const hidden = request(JSON.stringify({ model: 'triage', messages: [{ role: 'user', content: 'marker-dead' }] }));
const text = JSON.stringify({ model: 'triage', messages: [{ role: 'user', content: 'marker-beef' }] });
const size = Buffer.byteLength(text);
const chunk = `${size.toString(16)}\r\n${text}\r\n`;
const authorization = `authorization: Bearer ${clientKey}`;

/** A request with these lines in its head, whatever they say of its body. */
const raw = (lines: readonly string[], rest: string, end = '\r\n'): string =>
  [`POST ${chatPath} HTTP/1.1`, 'host: router', authorization, ...lines, '', rest].join(end);

let engine: TestEngine;
let router: TestRouter;

beforeAll(async () => {
  engine = await startEngine(echo);
  router = await startRouter({ routes: [aRoute([aModel('small')])], endpoints: { small: [engine.origin] } });
});

afterAll(async () => {
  await router[Symbol.asyncDispose]();
  await engine.kill();
});

describe('a request that two readers may read differently is refused, and its connection closed', () => {
  it.each([
    ['a length and chunks', raw([`content-length: ${size}`, 'transfer-encoding: chunked'], `0\r\n\r\n${hidden}`)],
    ['chunks and a length', raw(['transfer-encoding: chunked', 'content-length: 4'], `${chunk}0\r\n\r\n${hidden}`)],
    ['two lengths', raw([`content-length: ${size}`, 'content-length: 0'], text + hidden)],
    ['two equal lengths', raw([`content-length: ${size}`, `content-length: ${size}`], text + hidden)],
    ['a list of lengths', raw([`content-length: ${size}, ${size}`], text + hidden)],
    ['a length with a sign', raw([`content-length: +${size}`], text + hidden)],
    ['a negative length', raw(['content-length: -1'], text + hidden)],
    ['a length in hexadecimal', raw([`content-length: 0x${size.toString(16)}`], text + hidden)],
    ['a length beyond all numbers', raw([`content-length: ${'9'.repeat(40)}`], text + hidden)],
    ['a length with a word', raw([`content-length: ${size} bytes`], text + hidden)],
    ['an encoding that is none', raw(['transfer-encoding: xchunked'], `0\r\n\r\n${hidden}`)],
    ['chunks that are not the last encoding', raw(['transfer-encoding: chunked, identity'], `0\r\n\r\n${hidden}`)],
    ['an encoding twice', raw(['transfer-encoding: identity', 'transfer-encoding: x'], `0\r\n\r\n${hidden}`)],
    ['a space before the colon', raw([`content-length : ${size}`], text + hidden)],
    ['a space before the colon of an encoding', raw(['transfer-encoding : chunked'], `0\r\n\r\n${hidden}`)],
    ['a line that is folded', raw(['x: y', ' transfer-encoding: chunked'], `0\r\n\r\n${hidden}`)],
    ['an encoding that is folded', raw(['transfer-encoding:', ' chunked'], `0\r\n\r\n${hidden}`)],
    ['a name with a space', raw(['transfer encoding: chunked'], `0\r\n\r\n${hidden}`)],
    ['a name with a vertical tab', raw(['\u000btransfer-encoding: chunked'], `0\r\n\r\n${hidden}`)],
    ['a line without a colon', raw(['transfer-encoding chunked'], `0\r\n\r\n${hidden}`)],
    ['a zero byte in a header', raw([`x: a\u0000b`, `content-length: ${size}`], text + hidden)],
    ['a carriage return in a header', raw([`x: a\rcontent-length: 0`, `content-length: ${size}`], text + hidden)],
    ['a line feed alone at the end of a line', raw([`x: a\ncontent-length: ${size}`], text + hidden)],
    ['line feeds alone', raw([`content-length: ${size}`], text + hidden, '\n')],
    [
      'a chunk with a length that is none',
      raw(['transfer-encoding: chunked'], `${size}g\r\n${text}\r\n0\r\n\r\n${hidden}`),
    ],
    ['a chunk with a negative length', raw(['transfer-encoding: chunked'], `-1\r\n${text}\r\n0\r\n\r\n${hidden}`)],
    [
      'a chunk with a length in words',
      raw(['transfer-encoding: chunked'], `0x${size.toString(16)}\r\n${text}\r\n0\r\n\r\n`),
    ],
    ['a chunk beyond all numbers', raw(['transfer-encoding: chunked'], `${'f'.repeat(40)}\r\n${text}\r\n0\r\n\r\n`)],
    ['a chunk that is longer than it says', raw(['transfer-encoding: chunked'], `1\r\n${text}\r\n0\r\n\r\n${hidden}`)],
    ['a chunk after a line feed alone', raw(['transfer-encoding: chunked'], `1\n{\r\n0\r\n\r\n${hidden}`)],
  ])('%s', async (_, bytes) => {
    const before = engine.received.length;
    using client = new RawClient(router);
    await client.send(bytes).untilClosed();
    // Where the head was in order, the handler may have been at it: then there is no answer, or one.
    expect(client.statuses.filter((status) => status !== 400)).toEqual([]);
    expect(client.statuses.length).toBeLessThanOrEqual(1);
    expect(client.received).not.toContain('marker');
    await untilIdle(router, ['small']);
    expect(engine.received.length).toBe(before);
  });

  it('a length that is too short leaves a rest that is no request', async () => {
    const before = engine.received.length;
    using client = new RawClient(router);
    await client.send(raw(['content-length: 2'], `{}rest of it\r\n\r\n${hidden}`)).untilClosed();
    expect(client.received).not.toContain('marker');
    await untilIdle(router, ['small']);
    expect(engine.received.length).toBe(before);
  });
});

it('chunks with extensions and trailers are one request, and none of either goes on', async () => {
  const before = engine.received.length;
  using client = new RawClient(router);
  client.send(
    raw(['transfer-encoding: chunked'], `${size.toString(16)};x="y"\r\n${text}\r\n0\r\nx-trailer: leak\r\n\r\n`),
  );
  await client.untilReceived('marker-beef');
  expect(client.statuses).toEqual([200]);
  expect(engine.received.length).toBe(before + 1);
  expect(JSON.stringify(engine.last.headers)).not.toContain('leak');
  expect(engine.last.raw).toBe(text.replace('"triage"', '"served"'));
});
