import { randomUUID } from 'node:crypto';
import * as fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { llamaScored } from '../../runtime/router/testing/answers.ts';
import { json, type Script, startEngine, stream, type TestEngine } from '../../runtime/router/testing/engine.ts';
import {
  aModel,
  aRoute,
  clientKey,
  type Reply,
  startRouter,
  type TestRouter,
} from '../../runtime/router/testing/router.ts';
import { isLong } from '../support/measured.ts';
import { echo, markerPattern } from './support/echo.ts';
import { chatPath, RawClient, request, untilIdle } from './support/raw-client.ts';

/** Requests under way at once: what belongs to one could get into another. */
const atOnce = 20;
const cases = isLong ? 100_000 : 3_000;

let engine: TestEngine;
let router: TestRouter;

beforeAll(async () => {
  const label = stream(llamaScored({ billing: 0.6, refund: 0.3, other: 0.1 }));
  const vectors = json({
    object: 'list',
    model: 'served',
    data: [{ object: 'embedding', index: 0, embedding: [0.5] }],
  });
  const script: Script = (got) => {
    if (got.path === '/v1/embeddings') return vectors(got);
    return got.body['logit_bias'] === undefined || got.body['post_sampling_probs'] !== true ? echo(got) : label(got);
  };
  engine = await startEngine(script);
  const named = (name: string) => ({ policy: { namespace: 'support', name, uid: name, generation: 1 }, model: name });
  router = await startRouter({
    routes: [
      aRoute([aModel('small')]),
      aRoute([aModel('llama', { engine: 'LlamaCpp' })], named('llama')),
      aRoute([aModel('llama', { engine: 'LlamaCpp' })], {
        ...named('label'),
        output: { labels: ['billing', 'refund', 'other'] },
      }),
      aRoute([aModel('vectors', { task: 'Embedding' })], named('vectors')),
      aRoute([aModel('small'), aModel('llama', { engine: 'LlamaCpp' })], {
        ...named('judged'),
        escalation: {
          steps: [{ to: 'llama', threshold: 0.5 }],
          when: ['LowConfidence', 'InvalidOutput'],
          unknownConfidence: 'Escalate',
        },
      }),
    ],
    endpoints: { small: [engine.origin], llama: [engine.origin], vectors: [engine.origin] },
  });
});

afterAll(async () => {
  await router[Symbol.asyncDispose]();
  await engine.kill();
});

const field = fc.constantFrom(
  'stream',
  'stream_options',
  'n',
  'max_tokens',
  'logprobs',
  'top_logprobs',
  'tools',
  'user',
  'metadata',
  'response_format',
  'temperature',
  'stop',
  'seed',
  'logit_bias',
  'prompt',
  'input',
  '__proto__',
  'constructor',
  'toString',
  'error',
  'choices',
  'usage',
  'model ',
  '\u0000',
);
const model = fc.constantFrom('triage', 'support/triage', 'llama', 'label', 'vectors', 'judged', 'served', 'nobody');
const path = fc.constantFrom(chatPath, '/v1/completions', '/v1/embeddings', '/v1/responses', '/v1/classify');

/** A request that is one, but for fields that may have any value at all. */
const odd = fc
  .record({
    model: fc.oneof({ weight: 9, arbitrary: model }, fc.jsonValue()),
    fields: fc.dictionary(field, fc.jsonValue(), { maxKeys: 5 }),
  })
  .map(
    ({ model: name, fields }) =>
      (marker: string) =>
        JSON.stringify({ ...fields, model: name, messages: [{ role: 'user', content: marker }] }),
  );

/** One that was damaged on its way: some characters are others, missing, or there twice. */
const damaged = fc
  .tuple(
    odd,
    fc.array(
      fc.tuple(
        fc.nat(),
        fc.constantFrom(
          '',
          '"',
          '{',
          '}',
          '[',
          ']',
          ',',
          ':',
          '\\',
          '\u0000',
          '\ufeff',
          '\ud800',
          '0',
          '-',
          'e',
          ' ',
          '\n',
          '\u2028',
        ),
      ),
      { minLength: 1, maxLength: 4 },
    ),
  )
  .map(([make, damages]) => (marker: string) => {
    let text = make(marker);
    for (const [at, put] of damages) {
      const index = at % (text.length + 1);
      text = `${text.slice(0, index)}${put}${text.slice(index + 1)}`;
    }
    return text;
  });

const anything = fc.oneof(fc.string({ unit: 'binary', maxLength: 300 }), fc.json()).map((text) => () => text);
const body = fc.oneof({ weight: 5, arbitrary: odd }, { weight: 4, arbitrary: damaged }, anything);

/** What is wrong with the answer to a request that may be wrong itself. */
function problemsOf({ status, text }: Reply, others: readonly string[]): string[] {
  const problems: string[] = [];
  if (status >= 500) problems.push('a fault of the router');
  if (status !== 200 && !/^\{"error":\{"message":".+","type":"\w+","param":.+,"code":"\w+"\}\}$/s.test(text))
    problems.push("no error of OpenAI's form");
  if (others.some((other) => text.includes(other))) problems.push("another's answer");
  return problems;
}

describe('whatever a body is made of', () => {
  it(
    'its client gets an answer with its own marker, or an error that is a client’s, and never what is another’s',
    async () => {
      const seen = { answered: 0, refused: 0 };
      /** Of the requests that used these connections before. */
      let before: string[] = [];
      await fc.assert(
        fc.asyncProperty(fc.array(fc.tuple(path, body), { minLength: atOnce, maxLength: atOnce }), async (all) => {
          const issued = all.map(() => `marker-${randomUUID()}`);
          const outcomes = all.map(async ([to, make], i) => {
            const marker = issued[i] as string;
            const text = make(marker);
            const reply = await router.post(to, text);
            if (reply.status === 200) seen.answered++;
            else seen.refused++;
            const others = [...issued, ...before].filter((other) => other !== marker);
            return problemsOf(reply, others).map((problem) => `${problem}: ${reply.status} ${reply.text} for ${text}`);
          });
          expect((await Promise.all(outcomes)).flat()).toEqual([]);
          before = issued;
        }),
        { numRuns: cases / atOnce, endOnFailure: true },
      );
      await untilIdle(router, ['small', 'llama', 'vectors']);
      expect(router.logged()).not.toMatch(/failed outside|nobody thought of/);
      // It would prove nothing if hardly one came through, or hardly one was refused.
      expect(Math.min(seen.answered, seen.refused) / cases).toBeGreaterThan(0.1);
    },
    isLong ? 1_800_000 : 60_000,
  );
});

describe('whatever headers are made of', () => {
  const name = fc.oneof(
    fc.constantFrom(
      'authorization',
      'content-type',
      'content-encoding',
      'connection',
      'x-request-id',
      'accept',
      'expect',
      'te',
      'upgrade',
      'host',
      'transfer-encoding',
      'content-length',
      'traceparent',
      'cookie',
      '',
    ),
    fc.string({ unit: 'grapheme-ascii', maxLength: 12 }),
  );
  const value = fc.oneof(
    fc.constantFrom(
      '',
      'close',
      'keep-alive',
      'gzip',
      'chunked',
      '0',
      '-1',
      '99999999999999999999',
      `Bearer ${clientKey}`,
      'Bearer ',
      '\t',
      'a, b',
      '100-continue',
    ),
    fc.string({ unit: fc.integer({ min: 0, max: 255 }).map((code) => String.fromCodePoint(code)), maxLength: 40 }),
  );

  it(
    'their client gets an answer, or an error that is a client’s, or is cut off',
    async () => {
      await fc.assert(
        fc.asyncProperty(fc.array(fc.tuple(name, value), { maxLength: 8 }), async (headers) => {
          const marker = `marker-${randomUUID()}`;
          const text = JSON.stringify({ model: 'triage', messages: [{ role: 'user', content: marker }] });
          const lines = headers.map(([key, what]) => `${key}: ${what}`);
          using client = new RawClient(router);
          client.send(Buffer.from(request(text, { headers: ['connection: close', ...lines] }), 'latin1'));
          // What is announced may not be there: then the router waits for it, and the client goes.
          client.socket.end();
          await client.untilClosed();
          expect(client.statuses.filter((status) => status >= 500)).toEqual([]);
          expect(client.received.match(markerPattern)?.filter((other) => other !== marker) ?? []).toEqual([]);
        }),
        { numRuns: isLong ? 20_000 : 500, endOnFailure: true },
      );
      await untilIdle(router, ['small']);
      expect((await router.post(chatPath, { model: 'triage', messages: [] })).status).toBe(200);
    },
    isLong ? 1_800_000 : 60_000,
  );
});
