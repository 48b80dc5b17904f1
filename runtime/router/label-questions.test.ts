import { describe, expect, it } from 'vitest';
import { llamaScored, scoredChat, vllmChat } from './testing/answers.ts';
import { json, startEngine, stream } from './testing/engine.ts';
import { answering, startProvider } from './testing/provider.ts';
import { aModel, aProvider, aRoute, startRouter } from './testing/router.ts';

const chat = '/v1/chat/completions';
const ask = (over: object = {}) => ({ model: 'triage', messages: [{ role: 'user', content: 'hello' }], ...over });
const llama = aModel('small', { engine: 'LlamaCpp' });

describe('labels that begin alike', () => {
  const alike = { labels: ['pay bill', 'pay in', 'card arrival', 'card linking', 'fee'] };

  it('are followed to where they part, in one request', async () => {
    await using engine = await startEngine(
      stream(llamaScored({ card: 0.7, pay: 0.1, fee: 0.2 }, { ' arr': 0.9, ' link': 0.1 })),
    );
    await using router = await startRouter({
      routes: [aRoute([llama], { output: alike })],
      endpoints: { small: [engine.origin] },
    });
    const reply = await router.post(chat, ask());
    expect(reply.json.choices[0].message.content).toBe('card arrival');
    expect(reply.headers['x-cadre-confidence']).toBe('0.6300');
    expect(engine.received).toHaveLength(1);
    expect(engine.last.body).toMatchObject({ max_tokens: 14, grammar: expect.stringContaining('"pay in"') as string });
  });

  it('are asked about alone where another of them could be the answer', async () => {
    await using engine = await startEngine((received) => {
      const some = (received.body['grammar'] as string).includes('fee');
      const answer = some
        ? llamaScored({ card: 0.45, pay: 0.4, fee: 0.15 }, { ' arr': 0.5, ' link': 0.5 })
        : llamaScored({ pay: 1 }, { ' in': 0.9, ' bill': 0.1 });
      return stream(answer)(received);
    });
    await using router = await startRouter({
      routes: [aRoute([llama], { output: alike })],
      endpoints: { small: [engine.origin] },
    });
    const reply = await router.post(chat, ask());
    expect(reply.json.choices[0].message.content).toBe('pay in');
    expect(reply.headers['x-cadre-confidence']).toBe('0.3600');
    expect(engine.last.body['grammar']).toBe('root ::= " "? ("pay bill" | "pay in")');
    expect(reply.json.usage.completion_tokens).toBe(6);
  });

  it('and end where another goes on are asked about without a bias, which no end of an answer has', async () => {
    const raw = llamaScored({ card: 0.5, fee: 0.2, x: 0.3 }, { '': 0.6, _: 0.2, y: 0.2 });
    await using engine = await startEngine(stream(raw));
    await using router = await startRouter({
      routes: [aRoute([llama], { output: { labels: ['card', 'card_arrival', 'fee'] } })],
      endpoints: { small: [engine.origin] },
    });
    const reply = await router.post(chat, ask());
    expect(reply.json.choices[0].message.content).toBe('card');
    expect(reply.headers['x-cadre-confidence']).toBe(((0.5 / 0.7) * 0.75).toFixed(4));
    expect(engine.last.body).not.toHaveProperty('logit_bias');
    expect(engine.last.body).toMatchObject({ temperature: 0, top_logprobs: 1000, max_tokens: 14 });
  });

  it('are asked about at most three times more', async () => {
    await using engine = await startEngine(stream(llamaScored({ ca: 0.5, p: 0.5 })));
    await using router = await startRouter({
      routes: [aRoute([llama], { output: alike })],
      endpoints: { small: [engine.origin] },
    });
    expect((await router.post(chat, ask())).headers['x-cadre-confidence']).toBe('0.2500');
    expect(engine.received.length).toBeLessThanOrEqual(4);
  });
});

describe('a provider', () => {
  const behind = async (script: Parameters<typeof startProvider>[0]) => {
    const provider = await startProvider(script);
    const router = await startRouter({
      routes: [
        aRoute([aProvider('flagship', provider.baseUrl)], { output: { labels: ['billing', 'refund', 'other'] } }),
      ],
      config: { providers: { allowedCIDRs: ['127.0.0.1/32'] } },
      resolve: answering(['127.0.0.1']),
      ca: [provider.ca],
    });
    return {
      provider,
      router,
      async [Symbol.asyncDispose]() {
        await router[Symbol.asyncDispose]();
        await provider[Symbol.asyncDispose]();
      },
    };
  };

  it('that tells of the likeliest tokens only is no surer than these allow', async () => {
    await using both = await behind(json(scoredChat('billing', { bill: 0.5, ref: 0.2, The: 0.1 }, { ing: 1 })));
    const { provider, router } = both;
    const reply = await router.post(chat, ask({ temperature: 0.3 }));
    expect(reply.json.choices[0].message.content).toBe('billing');
    // `other` has at most 0.1, as the last that was told.
    expect(reply.headers['x-cadre-confidence']).toBe('0.6250');
    expect(provider.received[0]?.body).toMatchObject({ temperature: 0.3, top_logprobs: 20 });
  });

  it('that refuses log-probabilities is asked without them from then on, and its confidence is unknown', async () => {
    await using both = await behind((received) =>
      'logprobs' in received.body
        ? json(
            { error: { message: 'logprobs are not supported with this model', type: 'x', code: null } },
            400,
          )(received)
        : json(vllmChat('refund'))(received),
    );
    const { provider, router } = both;
    const reply = await router.post(chat, ask());
    expect([reply.status, reply.json.choices[0].message.content]).toEqual([200, 'refund']);
    expect(reply.headers).not.toHaveProperty('x-cadre-confidence');
    expect(provider.received).toHaveLength(2);
    await router.post(chat, ask());
    expect(provider.received).toHaveLength(3);
  });

  it('that refuses the request itself is not asked twice for the same', async () => {
    await using both = await behind(json({ error: { message: 'too long', type: 'x', code: 'context' } }, 400));
    const { provider, router } = both;
    expect((await router.post(chat, ask())).status).toBe(400);
    await router.post(chat, ask());
    expect(provider.received.map(({ body }) => 'logprobs' in body)).toEqual([true, false, true, false]);
  });
});
