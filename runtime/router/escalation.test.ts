import OpenAI from 'openai';
import { describe, expect, it } from 'vitest';
import type { Route } from '../../crds/route-table.ts';
import { until } from '../../process/testing/waiting.ts';
import { chatChunk, scoredChat, vllmChat } from './testing/answers.ts';
import { event, events, json, reset, type Script, startEngine, stream } from './testing/engine.ts';
import { answering, startProvider } from './testing/provider.ts';
import { aModel, aProvider, aRoute, clientKey, startRouter } from './testing/router.ts';

const chat = '/v1/chat/completions';
const ask = (over: object = {}) => ({ model: 'triage', messages: [{ role: 'user', content: 'hello' }], ...over });
const output = { labels: ['billing', 'refund', 'other'] };
/** An answer, as a stream to who asks for one. */
function saying(answer: ReturnType<typeof scoredChat>): Script {
  const { choices, ...rest } = answer;
  const pieces = choices.map(({ message, ...choice }) => Object.assign(choice, { delta: message }));
  const streamed = stream(events({ ...rest, object: 'chat.completion.chunk', choices: pieces }));
  return (received) => (received.body['stream'] === true ? streamed(received) : json(answer)(received));
}
const sure = saying(scoredChat('billing', { billing: 0.97, refund: 0.02, other: 0.01 }));
const unsure = saying(scoredChat('billing', { billing: 0.5, refund: 0.3, other: 0.2 }));
const flagship = saying(scoredChat('refund', { refund: 0.9, billing: 0.1 }));
const down = json({ error: { message: 'no' } }, 500);

type Escalation = NonNullable<Route['escalation']>;
const escalation = (over: Partial<Escalation> = {}): Escalation => ({
  steps: [{ to: 'flagship', threshold: 0.85 }],
  when: ['LowConfidence', 'InvalidOutput', 'Error', 'Overloaded', 'Timeout'],
  unknownConfidence: 'Escalate',
  ...over,
});

/** A router before engines named small, flagship and judge, of which small is asked first. */
async function routerBefore(scripts: Readonly<Record<string, Script>>, over: Partial<Route> = {}) {
  const stack = new AsyncDisposableStack();
  const engines = new Map<string, Awaited<ReturnType<typeof startEngine>>>();
  for (const [name, script] of Object.entries(scripts)) engines.set(name, stack.use(await startEngine(script)));
  const backends = [...engines.keys()].map((name) => aModel(name));
  const route = aRoute(backends, { output, fallback: [], escalation: escalation(), ...over });
  const endpoints = Object.fromEntries([...engines].map(([name, { origin }]) => [name, [origin]]));
  const router = stack.use(
    await startRouter({ routes: [route], endpoints, config: { client: { commentSeconds: 1 } } }),
  );
  const asked = () => [...engines].map(([name, { received }]) => `${name} ${received.length}`).join(', ');
  return { router, engines, asked, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

describe('an answer below the threshold', () => {
  it('is not given: the next step is asked, and the answer says so', async () => {
    await using world = await routerBefore({ small: unsure, flagship });
    const { router, asked } = world;
    const reply = await router.post(chat, ask());
    expect(reply.json.choices[0].message.content).toBe('refund');
    expect(reply.headers).toMatchObject({
      'x-cadre-backend': 'flagship',
      'x-cadre-escalated': 'LowConfidence',
      'x-cadre-confidence': '0.9000',
    });
    expect(asked()).toBe('small 1, flagship 1');
    const labels = { policy: 'support/triage' };
    expect(
      await router.metric('cadre_router_escalations_total', {
        ...labels,
        backend: 'small',
        to: 'flagship',
        reason: 'LowConfidence',
      }),
    ).toBe(1);
    // Both attempts have cost tokens.
    for (const backend of ['small', 'flagship'])
      expect(await router.metric('cadre_router_tokens_total', { ...labels, backend, kind: 'prompt' })).toBe(12);
    expect(router.logged()).toContain('"escalated":"LowConfidence"');
  });

  it('is given where nobody does better: the next one fails', async () => {
    await using world = await routerBefore({ small: unsure, flagship: down });
    const reply = await world.router.post(chat, ask());
    expect(reply.status).toBe(200);
    expect(reply.json.choices[0].message.content).toBe('billing');
    expect(reply.headers).toMatchObject({
      'x-cadre-backend': 'small',
      'x-cadre-escalated': 'LowConfidence',
      'x-cadre-not-escalated': 'NextFailed',
    });
  });

  it('is given where the next one finds the request at fault', async () => {
    await using world = await routerBefore({ small: unsure, flagship: json({ error: { message: 'too long' } }, 400) });
    const reply = await world.router.post(chat, ask());
    expect([reply.status, reply.headers['x-cadre-backend']]).toEqual([200, 'small']);
  });

  it('climbs step by step, each answer judged by the step after it', async () => {
    const steps = [
      { to: 'flagship', threshold: 0.85 },
      { to: 'judge', threshold: 0.95 },
    ];
    await using world = await routerBefore(
      { small: unsure, flagship, judge: sure },
      { escalation: escalation({ steps }) },
    );
    const reply = await world.router.post(chat, ask());
    expect(reply.headers['x-cadre-backend']).toBe('judge');
    expect(world.asked()).toBe('small 1, flagship 1, judge 1');
  });

  it('is good enough from the backend of the last step, whatever its confidence', async () => {
    await using world = await routerBefore({ small: down, flagship: unsure }, { fallback: ['flagship'] });
    const reply = await world.router.post(chat, ask());
    expect([reply.status, reply.headers['x-cadre-backend'], reply.headers['x-cadre-escalated']]).toEqual([
      200,
      'flagship',
      'Error',
    ]);
  });
});

it('gives an answer that is sure enough, and asks nobody else', async () => {
  await using world = await routerBefore({ small: sure, flagship });
  const reply = await world.router.post(chat, ask());
  expect(reply.json.choices[0].message.content).toBe('billing');
  expect(reply.headers).not.toHaveProperty('x-cadre-escalated');
  expect(world.asked()).toBe('small 1, flagship 0');
});

describe('what is done about a failure', () => {
  it.each([
    ['Error', down],
    ['Error', reset],
    ['Overloaded', json({ error: { message: 'busy' } }, 429)],
    ['InvalidOutput', json(vllmChat('a poem'))],
  ] as const)('%s leads to the next step', async (reason, script) => {
    await using world = await routerBefore({ small: script, flagship });
    const reply = await world.router.post(chat, ask());
    expect([reply.status, reply.headers['x-cadre-backend'], reply.headers['x-cadre-escalated']]).toEqual([
      200,
      'flagship',
      reason,
    ]);
  });

  it('Timeout leads to the next step', async () => {
    const timeouts = { firstByteMs: 60_000, idleMs: 60_000, totalMs: 120_000 };
    await using world = await routerBefore(
      { small: () => undefined, flagship },
      { timeouts: { ...timeouts, firstByteMs: 50 } },
    );
    const reply = await world.router.post(chat, ask());
    expect([reply.headers['x-cadre-backend'], reply.headers['x-cadre-escalated']]).toEqual(['flagship', 'Timeout']);
  });

  it('leads to the fallback where the policy does not escalate for it', async () => {
    await using world = await routerBefore(
      { small: down, flagship, judge: sure },
      { escalation: escalation({ when: ['LowConfidence'] }), fallback: ['judge'] },
    );
    const reply = await world.router.post(chat, ask());
    expect(reply.headers['x-cadre-backend']).toBe('judge');
    expect(world.asked()).toBe('small 1, flagship 0, judge 1');
  });

  it('is told to the client when all have failed', async () => {
    await using world = await routerBefore({ small: down, flagship: down });
    const reply = await world.router.post(chat, ask());
    expect([reply.status, reply.json.error.code]).toEqual([502, 'backend_failed']);
  });
});

describe('unknown confidence', () => {
  it.each([
    ['Escalate', 'flagship'],
    ['Accept', 'small'],
  ] as const)('%s: the answer of %s is given', async (unknownConfidence, backend) => {
    await using world = await routerBefore(
      { small: json(vllmChat('billing')), flagship },
      { escalation: escalation({ unknownConfidence }) },
    );
    const reply = await world.router.post(chat, ask());
    expect(reply.headers['x-cadre-backend']).toBe(backend);
  });
});

describe('a budget', () => {
  it('ends escalation, and the answer at hand is given', async () => {
    await using world = await routerBefore({ small: unsure, flagship }, { escalation: escalation({ maxRate: 0.25 }) });
    const given: unknown[] = [];
    for (let request = 0; request < 30; request++) {
      const { headers } = await world.router.post(chat, ask());
      given.push(headers['x-cadre-not-escalated'] ?? headers['x-cadre-backend']);
    }
    // Ten at once, and then one of four.
    const escalated = given.filter((one) => one === 'flagship').length;
    expect(given.slice(0, 10)).toEqual(Array.from({ length: 10 }, () => 'flagship'));
    expect(escalated).toBeGreaterThanOrEqual(10 + Math.floor(20 * 0.25));
    expect(escalated).toBeLessThanOrEqual(10 + 30 * 0.25);
    expect(given.filter((one) => one === 'BudgetExhausted')).toHaveLength(30 - escalated);
    expect(await world.router.metric('cadre_router_not_escalated_total', { reason: 'BudgetExhausted' })).toBe(
      30 - escalated,
    );
  });

  it('outlives a change of the routes', async () => {
    const limited = { escalation: escalation({ maxRate: 0.000001 }) };
    await using world = await routerBefore({ small: unsure, flagship }, limited);
    for (let request = 0; request < 10; request++) await world.router.post(chat, ask());
    const backends = ['small', 'flagship'].map((name) => aModel(name));
    world.router.setRoutes([aRoute(backends, { output, fallback: [], ...limited })]);
    const reply = await world.router.post(chat, ask());
    expect(reply.headers['x-cadre-not-escalated']).toBe('BudgetExhausted');
  });
});

describe('free text', () => {
  const free = { output: {} };

  it('is scored by the tokens that were said, which the client does not see unless it asked', async () => {
    const text = scoredChat('hello there', { hello: 0.9 }, { ' there': 0.6 });
    await using world = await routerBefore({ small: json(text), flagship: json(vllmChat('better')) }, free);
    const reply = await world.router.post(chat, ask());
    expect(reply.json.choices[0].message.content).toBe('better');
    expect(world.engines.get('small')?.last.body).toMatchObject({ logprobs: true, top_logprobs: 1 });
    // Nobody judges the last one.
    expect(world.engines.get('flagship')?.last.body).not.toHaveProperty('logprobs');

    await using other = await routerBefore({ small: json(scoredChat('hello', { hello: 0.9 })), flagship }, free);
    const unasked = await other.router.post(chat, ask());
    expect(unasked.headers['x-cadre-confidence']).toBe('0.9000');
    expect(unasked.json.choices[0]).toMatchObject({ message: { content: 'hello' }, logprobs: null });
    const asked = await other.router.post(chat, ask({ logprobs: true }));
    expect(asked.json.choices[0].logprobs.content[0]).toMatchObject({ token: 'hello' });
  });

  it.each([
    ['cut off', json(vllmChat('The answer is', 'length'))],
    ['refused', json(vllmChat('', 'content_filter'))],
    ['empty', json(vllmChat(' '))],
  ])('that is %s is not given', async (_, script) => {
    await using world = await routerBefore(
      { small: script, flagship: json(vllmChat('whole')) },
      { ...free, escalation: escalation({ steps: [{ to: 'flagship' }] }) },
    );
    const reply = await world.router.post(chat, ask());
    expect([reply.headers['x-cadre-backend'], reply.headers['x-cadre-escalated']]).toEqual([
      'flagship',
      'InvalidOutput',
    ]);
  });

  it('that is cut off is given where the next one says nothing', async () => {
    await using world = await routerBefore(
      { small: json(vllmChat('The answer is', 'length')), flagship: down },
      { ...free, escalation: escalation({ steps: [{ to: 'flagship' }] }) },
    );
    const reply = await world.router.post(chat, ask());
    expect([reply.headers['x-cadre-backend'], reply.json.choices[0].finish_reason]).toEqual(['small', 'length']);
  });

  it('comes from a provider that refuses to tell log-probabilities as well, with unknown confidence', async () => {
    await using provider = await startProvider((received) =>
      received.body['logprobs'] === undefined
        ? json(vllmChat('hi'))(received)
        : json({ error: { message: 'logprobs are not supported' } }, 400)(received),
    );
    await using engine = await startEngine(json(vllmChat('better')));
    await using router = await startRouter({
      routes: [
        aRoute([aProvider('mini', provider.baseUrl), aModel('flagship')], {
          fallback: [],
          escalation: escalation({ unknownConfidence: 'Accept' }),
        }),
      ],
      endpoints: { flagship: [engine.origin] },
      config: { providers: { allowedCIDRs: ['127.0.0.0/8'] } },
      resolve: answering(['127.0.0.1']),
      ca: [provider.ca],
    });
    for (let request = 0; request < 2; request++) {
      const reply = await router.post(chat, ask());
      expect([reply.status, reply.headers['x-cadre-backend']]).toEqual([200, 'mini']);
    }
    // It is not asked for them again.
    expect(provider.received).toHaveLength(3);
  });
});

function streaming(origin: string, signal: AbortSignal | null = null): Promise<Response> {
  return fetch(`${origin}${chat}`, {
    method: 'POST',
    signal,
    headers: { authorization: `Bearer ${clientKey}`, 'content-type': 'application/json' },
    body: JSON.stringify(ask({ stream: true })),
  });
}

describe('a client that streams', () => {
  it('gets the answer that was chosen as a stream, with comments while it waits', async () => {
    const slow: Script = async (received) => {
      await until('the router to have told the client that it waits', () => comments > 0);
      await flagship(received);
    };
    await using world = await routerBefore({ small: unsure, flagship: slow });
    let comments = 0;
    const answer = await streaming(world.router.origin);
    let text = '';
    for await (const piece of answer.body as AsyncIterable<Uint8Array>) {
      text += Buffer.from(piece).toString();
      comments += text.includes(': keep-alive') ? 1 : 0;
    }
    expect(text).toContain(': x-cadre-backend: flagship\n');
    expect(text).toContain('"content":"refund"');
    expect(text.endsWith('data: [DONE]\n\n')).toBe(true);
  });

  it('gets an error event where all have failed after a comment, and no [DONE]', async () => {
    let comments = 0;
    const slow: Script = async (received) => {
      await until('the router to have told the client that it waits', () => comments > 0);
      await down(received);
    };
    await using world = await routerBefore({ small: down, flagship: slow });
    const answer = await streaming(world.router.origin);
    let text = '';
    for await (const piece of answer.body as AsyncIterable<Uint8Array>) {
      text += Buffer.from(piece).toString();
      comments++;
    }
    expect(text).toMatch(/: keep-alive\n\n.*data: \{"error":/s);
    expect(text).not.toContain('[DONE]');
  });

  it('reads it with the openai client as any other stream', async () => {
    await using world = await routerBefore({ small: unsure, flagship });
    const client = new OpenAI({ baseURL: `${world.router.origin}/v1`, apiKey: clientKey, maxRetries: 0 });
    const answer = client.chat.completions.stream({ model: 'triage', messages: [{ role: 'user', content: 'hello' }] });
    expect(await answer.finalContent()).toBe('refund');
  });

  it('and leaves ends the work of whoever is asked', async () => {
    const waiting: Script = ({ response }) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' }).write(event(chatChunk({ content: 'a' })));
    };
    await using world = await routerBefore({ small: unsure, flagship: waiting }, { output: {} });
    const controller = new AbortController();
    const answer = streaming(world.router.origin, controller.signal);
    await world.engines.get('flagship')?.waitForRequests(1);
    controller.abort();
    await expect(answer).rejects.toThrow('aborted');
    await until('the engine to see it', () => world.engines.get('flagship')?.last.gone);
    await until('nothing to be in flight', () => world.router.context.metrics.inFlight === 0);
  });
});

it('leaves embeddings alone', async () => {
  const vectors = { object: 'list', data: [{ object: 'embedding', index: 0, embedding: [0.1] }], model: 'served' };
  await using engine = await startEngine(json(vectors));
  await using router = await startRouter({
    routes: [
      aRoute([aModel('small', { task: 'Embedding' }), aModel('flagship')], {
        fallback: [],
        escalation: escalation(),
      }),
    ],
    endpoints: { small: [engine.origin] },
  });
  const reply = await router.post('/v1/embeddings', { model: 'triage', input: 'hello' });
  expect(reply.status).toBe(200);
});
