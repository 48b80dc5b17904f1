import { describe, expect, it } from 'vitest';
import type { Route } from '../../crds/route-table.ts';
import { until } from '../../process/testing/waiting.ts';
import { chatChunk, vllmStream } from './testing/answers.ts';
import { event, events, json, reset, type Script, startEngine, stream } from './testing/engine.ts';
import { answering, startProvider } from './testing/provider.ts';
import { aModel, aProvider, aRoute, clientKey, startRouter } from './testing/router.ts';
import { type Token, tokenEvents } from './testing/scored.ts';

const chat = '/v1/chat/completions';
const ask = (over: object = {}) => ({
  model: 'triage',
  messages: [{ role: 'user', content: 'hello' }],
  stream: true,
  ...over,
});
const words = (count: number, p?: number): Token[] => Array.from({ length: count }, (_, at) => [`w${at} `, p] as const);
const saying = (tokens: readonly Token[]): Script => stream(tokenEvents(tokens).join(''));
const flagship = saying([['better', 0.9]]);

type Escalation = NonNullable<Route['escalation']>;
const escalation = (over: Partial<Escalation> = {}): Escalation => ({
  steps: [{ to: 'flagship', threshold: 0.5 }],
  when: ['LowConfidence', 'InvalidOutput', 'Error'],
  unknownConfidence: 'Escalate',
  streaming: 'Prefix',
  ...over,
});

async function routerBefore(scripts: { small: Script; flagship: Script }, over: Partial<Escalation> = {}) {
  const stack = new AsyncDisposableStack();
  const small = stack.use(await startEngine(scripts.small));
  const second = stack.use(await startEngine(scripts.flagship));
  const routes = [aRoute([aModel('small'), aModel('flagship')], { fallback: [], escalation: escalation(over) })];
  const endpoints = { small: [small.origin], flagship: [second.origin] };
  const router = stack.use(await startRouter({ routes, endpoints }));
  return { router, small, flagship: second, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

/** What a stream says. */
function textOf(sse: string): string {
  const chunks = sse.split('\n\n').filter((one) => one.startsWith('data: {'));
  return chunks.map((one) => JSON.parse(one.slice(6)).choices?.[0]?.delta?.content ?? '').join('');
}

const read = (origin: string) =>
  fetch(`${origin}${chat}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${clientKey}`, 'content-type': 'application/json' },
    body: JSON.stringify(ask()),
  });

/** Says some tokens, and goes on when it is told to. */
function pausing(first: readonly Token[], rest: readonly Token[]) {
  const { promise, resolve } = Promise.withResolvers<void>();
  const script: Script = async ({ response }) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.write(
      tokenEvents(first).slice(0, -2).join('').replaceAll('"finish_reason":"stop"', '"finish_reason":null'),
    );
    await promise;
    response.end(tokenEvents(rest).slice(1).join(''));
  };
  return { script, goOn: resolve };
}

describe('Prefix', () => {
  it('lets a stream out as soon as its beginning is trusted, and never changes who speaks', async () => {
    const { script, goOn } = pausing(words(40, 0.9), words(60, 0.01));
    await using world = await routerBefore({ small: script, flagship });
    const reply = await read(world.router.origin);
    expect(reply.headers.get('x-cadre-backend')).toBe('small');
    expect(reply.headers.get('x-cadre-confidence')).toBe('0.9000');
    goOn();
    const sse = await reply.text();
    expect(textOf(sse)).toBe([...words(40), ...words(60)].map(([word]) => word).join(''));
    expect(sse.endsWith('data: [DONE]\n\n')).toBe(true);
    // The later doubt is only recorded.
    const labels = { policy: 'support/triage', backend: 'small' };
    await until(
      'the request is counted',
      async () => (await world.router.metric('cadre_router_requests_total', labels)) === 1,
    );
    expect(await world.router.metric('cadre_router_confidence', { ...labels, le: '+Inf' })).toBe(1);
    expect(world.router.logged()).toContain('"confidence":0.01');
    expect(world.flagship.received).toHaveLength(0);
  });

  it('asks the next one at the end of a beginning that is not trusted, and leaves the first', async () => {
    const { script } = pausing(words(40, 0.2), []);
    await using world = await routerBefore({ small: script, flagship });
    const reply = await world.router.post(chat, ask());
    expect(textOf(reply.text)).toBe('better');
    expect(reply.headers).toMatchObject({ 'x-cadre-backend': 'flagship', 'x-cadre-escalated': 'LowConfidence' });
    await until('the engine is left', () => world.small.last.gone);
  });

  it('asks the first again where the next one fails, and takes what it says', async () => {
    const { script } = pausing(words(40, 0.2), []);
    await using world = await routerBefore({ small: script, flagship: reset });
    world.flagship.script = (received) => {
      world.small.script = saying(words(40, 0.2));
      reset(received);
    };
    const reply = await world.router.post(chat, ask());
    expect(textOf(reply.text)).toBe(
      words(40)
        .map(([word]) => word)
        .join(''),
    );
    expect(reply.headers).toMatchObject({ 'x-cadre-backend': 'small', 'x-cadre-not-escalated': 'NextFailed' });
  });

  it.each([
    ['is sure enough', saying(words(3, 0.9)), 'small'],
    ['is not', saying(words(3, 0.2)), 'flagship'],
    ['was cut', stream(tokenEvents(words(3, 0.9)).join('').replace('"stop"', '"length"')), 'flagship'],
    ['says nothing', stream(vllmStream([''])), 'flagship'],
    ['refuses', stream(events(chatChunk({ refusal: 'no' }), chatChunk({}, 'stop'))), 'flagship'],
    ['has no log-probabilities', stream(vllmStream(['a', 'b'])), 'flagship'],
  ])('judges a text that ends before whole: one that %s', async (_, small, backend) => {
    await using world = await routerBefore({ small, flagship });
    const reply = await world.router.post(chat, ask());
    expect(reply.headers['x-cadre-backend']).toBe(backend);
    expect(reply.text.endsWith('data: [DONE]\n\n')).toBe(true);
  });

  it('gives a short text that was held where the next one fails', async () => {
    await using world = await routerBefore({ small: saying(words(3, 0.2)), flagship: reset });
    const reply = await world.router.post(chat, ask());
    expect([textOf(reply.text), reply.headers['x-cadre-not-escalated']]).toEqual(['w0 w1 w2 ', 'NextFailed']);
    expect(world.small.received).toHaveLength(1);
  });

  it('judges calls of tools by their form, at their end', async () => {
    const calls = (name: string, given: string) =>
      stream(
        events(
          chatChunk({ tool_calls: [{ index: 0, id: 'c', type: 'function', function: { name, arguments: '' } }] }),
          ...Array.from(given).map((one) => chatChunk({ tool_calls: [{ index: 0, function: { arguments: one } }] })),
          chatChunk({}, 'tool_calls'),
        ),
      );
    const tools = [{ type: 'function', function: { name: 'find' } }];
    const long = `{"text":"${'x'.repeat(50)}"}`;
    for (const [script, backend] of [
      [calls('find', long), 'small'],
      [calls('find', `${long},`), 'flagship'],
      [calls('lose', long), 'flagship'],
    ] as const) {
      await using world = await routerBefore({ small: script, flagship }, { unknownConfidence: 'Accept' });
      expect((await world.router.post(chat, ask({ tools }))).headers['x-cadre-backend']).toBe(backend);
    }
  });

  it('hides log-probabilities that the client did not ask for, and tells those that it did', async () => {
    await using world = await routerBefore({ small: saying(words(40, 0.9)), flagship });
    const plain = await world.router.post(chat, ask());
    expect(plain.text).not.toContain('"logprob"');
    expect(plain.text).not.toContain('"usage"');
    const own = await world.router.post(chat, ask({ logprobs: true, stream_options: { include_usage: true } }));
    expect(own.text.match(/"logprob":/g)).toHaveLength(40);
    expect(own.text).toContain('"top_logprobs":[]');
    expect(own.text).toContain('"usage"');
    expect(world.small.last.body).toMatchObject({ logprobs: true, top_logprobs: 1 });
  });

  it('reads a provider that refuses to tell log-probabilities without them', async () => {
    await using provider = await startProvider((received) =>
      received.body['logprobs'] === true
        ? json({ error: { message: 'logprobs are not supported' } }, 400)(received)
        : stream(vllmStream(words(40).map(([word]) => word)))(received),
    );
    await using second = await startEngine(flagship);
    const backends = [aProvider('small', provider.baseUrl), aModel('flagship')];
    const accepting = escalation({ unknownConfidence: 'Accept' });
    await using router = await startRouter({
      routes: [aRoute(backends, { fallback: [], escalation: accepting })],
      endpoints: { flagship: [second.origin] },
      config: { providers: { allowedCIDRs: ['127.0.0.0/8'] } },
      resolve: answering(['127.0.0.1']),
      ca: [provider.ca],
    });
    for (let i = 0; i < 2; i++) {
      const reply = await router.post(chat, ask());
      expect([reply.headers['x-cadre-backend'], reply.headers['x-cadre-confidence']]).toEqual(['small', undefined]);
    }
    expect(provider.received).toHaveLength(3);
  });

  it('ends a stream that breaks off after its beginning went out with an error, and no [DONE]', async () => {
    const broken: Script = ({ response }) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.end(tokenEvents(words(40, 0.9)).slice(0, 39).join(''));
    };
    await using world = await routerBefore({ small: broken, flagship });
    const reply = await world.router.post(chat, ask());
    expect(reply.text).toContain('"backend_failed"');
    expect(reply.text).not.toContain('[DONE]');
  });

  it('asks the next one where a stream breaks off before', async () => {
    const broken: Script = ({ response }) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.end(event(chatChunk({ content: 'a' })));
    };
    await using world = await routerBefore({ small: broken, flagship });
    const reply = await world.router.post(chat, ask());
    expect([textOf(reply.text), reply.headers['x-cadre-escalated']]).toEqual(['better', 'Error']);
  });
});

describe('PassThrough', () => {
  it('lets everything out with its first word, and only records how sure it was', async () => {
    const { script, goOn } = pausing(words(1, 0.2), words(2, 0.2));
    await using world = await routerBefore({ small: script, flagship }, { streaming: 'PassThrough' });
    const reply = await read(world.router.origin);
    expect(reply.headers.get('x-cadre-backend')).toBe('small');
    goOn();
    expect(textOf(await reply.text())).toBe('w0 w0 w1 ');
    const labels = { policy: 'support/triage', backend: 'small' };
    await until(
      'the request is counted',
      async () => (await world.router.metric('cadre_router_requests_total', labels)) === 1,
    );
    expect(await world.router.metric('cadre_router_confidence', { ...labels, le: '+Inf' })).toBe(1);
    expect(world.router.logged()).toContain('"confidence":0.2');
  });

  it('asks the next one where the first fails before its first word', async () => {
    await using world = await routerBefore({ small: reset, flagship }, { streaming: 'PassThrough' });
    expect((await world.router.post(chat, ask())).headers['x-cadre-backend']).toBe('flagship');
  });
});

it('who is chosen is judged by the first step after its own, and never sent back', async () => {
  await using small = await startEngine(saying(words(3, 0.9)));
  await using second = await startEngine(saying([['so-so', 0.2]]));
  const backends = [aModel('flagship'), aModel('small')];
  const steps = [
    { to: 'small', threshold: 0.5 },
    { to: 'flagship', threshold: 0.5 },
  ];
  await using router = await startRouter({
    routes: [aRoute(backends, { fallback: [], escalation: escalation({ steps }) })],
    endpoints: { small: [small.origin], flagship: [second.origin] },
  });
  expect((await router.post(chat, ask())).headers['x-cadre-backend']).toBe('flagship');
  expect(small.received).toHaveLength(0);
});
