import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { gbnfString } from './providers/llama-cpp.ts';
import { llamaScored, llamaStream, llamaText, scoredChat, vllmChat, vllmStream } from './testing/answers.ts';
import { json, startEngine, stream } from './testing/engine.ts';
import { answering, startProvider } from './testing/provider.ts';
import { aModel, aProvider, aRoute, startRouter } from './testing/router.ts';

const chat = '/v1/chat/completions';
const ask = (over: object = {}) => ({ model: 'triage', messages: [{ role: 'user', content: 'hello' }], ...over });
const labels = ['billing', 'refund "now"', 'back\\slash'];
const output = { labels };
const llama = aModel('small', { engine: 'LlamaCpp' });
/** 4 labels in 2 groups, as a model says them that was trained for it. */
const grouped = {
  labels: ['card_arrival', 'card_linking', 'top_up', 'top_up_fee'],
  tokens: [
    { label: 'card_arrival', token: ' arrival' },
    { label: 'card_linking', token: ' link' },
    { label: 'top_up', token: ' top' },
    { label: 'top_up_fee', token: ' fee' },
  ],
  groups: [
    { name: 'card', labels: ['card_arrival', 'card_linking'] },
    { name: 'money', labels: ['top_up', 'top_up_fee'] },
  ],
};
const trained = aModel('small', { engine: 'LlamaCpp', task: 'Classification' });

describe('a label', () => {
  it('is the likeliest one, whatever llama-server said; its probability is in a header', async () => {
    await using engine = await startEngine(
      stream(llamaScored({ back: 0.2, ' billing': 0.5, billing: 0.1, 'refund "now"': 0.2 })),
    );
    await using router = await startRouter({
      routes: [aRoute([llama], { output: { labels: ['billing', 'refund "now"', 'back slash'] } })],
      endpoints: { small: [engine.origin] },
    });
    const reply = await router.post(chat, ask({ max_tokens: 9, n: null }));
    expect(reply.json.choices).toEqual([
      { index: 0, message: { role: 'assistant', content: 'billing' }, logprobs: null, finish_reason: 'stop' },
    ]);
    expect(reply.headers['x-cadre-confidence']).toBe('0.6000');
    expect(router.logged()).toContain('"confidence":0.6');
    expect(await router.metric('cadre_router_confidence', { policy: 'support/triage', le: '+Inf' })).toBe(1);
    expect(reply.json.usage).toMatchObject({ prompt_tokens: 12, completion_tokens: 3 });
    expect(engine.last.body).toMatchObject({
      max_tokens: 1,
      temperature: 1,
      samplers: ['temperature'],
      post_sampling_probs: true,
      logprobs: true,
      top_logprobs: 13,
      logit_bias: [
        ['billing', 100],
        ['refund "now"', 100],
        ['back slash', 100],
        [' billing', 100],
        [' refund "now"', 100],
        [' back slash', 100],
      ],
    });
    expect(engine.last.body).not.toHaveProperty('grammar');
  });

  it('is the likeliest one that vLLM told of, which is held to the set', async () => {
    await using engine = await startEngine(json(scoredChat('bi', { bi: 0.3, refund: 0.6, back: 0.1 })));
    await using router = await startRouter({
      routes: [aRoute([aModel('small')], { output: { labels: ['billing', 'refund'] } })],
      endpoints: { small: [engine.origin] },
    });
    const reply = await router.post(chat, ask({ max_completion_tokens: 9, stop: ['x'], temperature: 1 }));
    expect(reply.json).toEqual({
      ...vllmChat('refund'),
      model: 'triage',
    });
    expect(reply.headers['x-cadre-confidence']).toBe('0.6667');
    expect(engine.last.body).toEqual({
      ...ask({ max_completion_tokens: 1, stop: [], temperature: 0 }),
      model: 'served',
      max_tokens: 1,
      logprobs: true,
      top_logprobs: 20,
      structured_outputs: { choice: ['billing', 'refund', ' billing', ' refund'] },
    });
  });

  it('of a completion is read from the older shape of log-probabilities', async () => {
    const tokens = { token_logprobs: [-1], tokens: [' bill'], top_logprobs: [{ ' bill': -1, ' refund': -0.5 }] };
    const answer = { ...vllmChat(''), object: 'text_completion' };
    await using engine = await startEngine(
      json({ ...answer, choices: [{ index: 0, text: ' bill', logprobs: tokens, finish_reason: 'length' }] }),
    );
    await using router = await startRouter({
      routes: [aRoute([aModel('small')], { output: { labels: ['billing', 'refund'] } })],
      endpoints: { small: [engine.origin] },
    });
    const request = { model: 'triage', prompt: 'x', max_tokens: 3 };
    const reply = await router.post('/v1/completions', request);
    expect(reply.json.choices).toEqual([{ index: 0, text: 'refund', logprobs: null, finish_reason: 'stop' }]);
    expect(reply.headers['x-cadre-confidence']).toBe('0.6225');
    expect(engine.last.body).toMatchObject({ logprobs: 20, max_tokens: 1 });
    const own = await router.post('/v1/completions', { ...request, logprobs: 1 });
    expect(own.json.choices[0].logprobs).toEqual({ ...tokens, top_logprobs: [{ ' refund': -0.5 }] });
  });

  it('is held to the set where no probability comes, and then has no confidence', async () => {
    await using engine = await startEngine(stream(llamaText([' bil', 'ling', '\n'])));
    await using router = await startRouter({
      routes: [aRoute([llama], { output })],
      endpoints: { small: [engine.origin] },
    });
    const reply = await router.post('/v1/completions', { model: 'triage', prompt: 'x' });
    expect(reply.json.choices[0].text).toBe('billing');
    expect(reply.headers).not.toHaveProperty('x-cadre-confidence');
    expect(await router.metric('cadre_router_confidence_unknown_total', { backend: 'small' })).toBe(1);
    engine.script = stream(llamaStream(['refund "now"']));
    expect((await router.post(chat, ask())).json.choices[0].message.content).toBe('refund "now"');
  });

  it('is asked for once more, by a grammar and to its end, where its first token tells nothing', async () => {
    await using engine = await startEngine((received) => {
      const text = 'grammar' in received.body ? llamaStream([' back', '\\', 'slash']) : llamaStream(['The']);
      return stream(text)(received);
    });
    await using router = await startRouter({
      routes: [aRoute([llama], { output })],
      endpoints: { small: [engine.origin] },
    });
    const reply = await router.post(chat, ask());
    expect(reply.json.choices[0].message.content).toBe('back\\slash');
    expect(engine.received).toHaveLength(2);
    expect(engine.last.body).toMatchObject({
      grammar: 'root ::= " "? ("billing" | "refund \\"now\\"" | "back\\\\slash")',
      max_tokens: 14,
    });
    expect(reply.json.usage).toMatchObject({ prompt_tokens: 24, completion_tokens: 6, total_tokens: 30 });
    expect(await router.metric('cadre_router_tokens_total', { kind: 'completion' })).toBe(6);
  });

  it('goes to a client that streams, with its probability, once it is known', async () => {
    await using engine = await startEngine(stream(vllmStream([' ', 'billing'])));
    await using router = await startRouter({
      routes: [aRoute([aModel('small')], { output })],
      endpoints: { small: [engine.origin] },
    });
    const reply = await router.post(chat, ask({ stream: true, stream_options: { include_usage: true } }));
    const chunks = reply.text
      .split('\n\n')
      .filter((text) => text.startsWith('data: {'))
      .map((text) => JSON.parse(text.slice(6)) as Record<string, unknown>);
    expect(chunks).toMatchObject([
      {
        object: 'chat.completion.chunk',
        model: 'triage',
        choices: [{ delta: { role: 'assistant', content: 'billing' }, finish_reason: null }],
      },
      { choices: [{ delta: {}, finish_reason: 'stop' }] },
      { choices: [], usage: { total_tokens: 15 } },
    ]);
    expect(reply.text).toMatch(/data: \[DONE\]\n\n$/);
    expect((await router.post(chat, ask({ stream: true }))).text).not.toContain('"usage"');
    engine.script = stream(llamaScored({ billing: 0.9, 'refund "now"': 0.1 }));
    const scored = await router.post(chat, ask({ stream: true }));
    expect(scored.headers['x-cadre-confidence']).toBe('0.9000');
    expect(scored.text).not.toContain('top_logprobs":[');
  });

  it('comes with the log-probabilities that the client asked for, and no more', async () => {
    const position = { billing: 0.5, 'refund "now"': 0.3, back: 0.2 };
    await using engine = await startEngine(stream(llamaScored(position)));
    await using router = await startRouter({
      routes: [aRoute([llama], { output })],
      endpoints: { small: [engine.origin] },
    });
    const { content } = (await router.post(chat, ask({ logprobs: true, top_logprobs: 2 }))).json.choices[0].logprobs;
    const entry = (token: string, p: number) => ({ token, logprob: expect.closeTo(Math.log(p)) as number });
    expect(content).toMatchObject([
      { ...entry('billing', 0.5), top_logprobs: [entry('billing', 0.5), entry('refund "now"', 0.3)] },
    ]);
    expect(content[0].top_logprobs).toHaveLength(2);
    const none = await router.post(chat, ask({ logprobs: true }));
    expect(none.json.choices[0].logprobs.content[0].top_logprobs).toEqual([]);
  });

  it('is asked of an engine once and answered n times', async () => {
    await using engine = await startEngine(json(scoredChat('billing', { billing: 0.9, back: 0.1 })));
    await using router = await startRouter({
      routes: [aRoute([aModel('small')], { output })],
      endpoints: { small: [engine.origin] },
    });
    const reply = await router.post(chat, ask({ n: 3 }));
    expect(
      reply.json.choices.map(({ index, message }: { index: number; message: object }) => [index, message]),
    ).toEqual([0, 1, 2].map((index) => [index, expect.objectContaining({ content: 'billing' }) as object]));
    expect(engine.last.body['n']).toBe(1);
    const wrong = await router.post(chat, ask({ n: 1000 }));
    expect([wrong.status, wrong.json.error.param, wrong.json.error.code]).toEqual([400, 'n', 'invalid_type']);
  });

  it('of another kind counts as failed: the next backend is asked, and when there is none the client is told', async () => {
    await using provider = await startProvider(json(vllmChat('The answer is: billing.')));
    await using engine = await startEngine(json(vllmChat('bill', 'length')));
    await using router = await startRouter({
      routes: [aRoute([aProvider('flagship', provider.baseUrl), aModel('small')], { output })],
      endpoints: { small: [engine.origin] },
      config: { providers: { allowedCIDRs: ['127.0.0.1/32'] } },
      resolve: answering(['127.0.0.1']),
      ca: [provider.ca],
    });
    const reply = await router.post(chat, ask({ max_tokens: 1 }));
    expect([reply.status, reply.json.error.code]).toEqual([502, 'invalid_output']);
    expect(reply.json.error.message).toContain('backend "small" is none of the model\'s labels, as it was cut');
    expect(provider.received[0]?.body).toEqual({
      ...ask({ max_tokens: 1 }),
      model: 'gpt',
      logprobs: true,
      top_logprobs: 20,
    });
    engine.script = json(vllmChat('billing'));
    expect((await router.post(chat, ask())).json.choices[0].message.content).toBe('billing');
  });

  it.each([
    [{ tools: [{ type: 'function' }] }, 'tools'],
    [{ response_format: { type: 'json_object' } }, 'response_format'],
    [{ grammar: 'root ::= "x"' }, 'grammar'],
    [{ structured_outputs: { choice: ['x'] } }, 'structured_outputs'],
  ])('cannot be had together with %j', async (field, param) => {
    await using router = await startRouter({ routes: [aRoute([aModel('small')], { output })] });
    const reply = await router.post(chat, ask(field));
    expect([reply.status, reply.json.error.param, reply.json.error.code]).toEqual([
      400,
      param,
      'unsupported_parameter',
    ]);
  });

  it('can be had together with what says nothing about it', async () => {
    await using engine = await startEngine(json(vllmChat('billing')));
    await using router = await startRouter({
      routes: [aRoute([aModel('small')], { output })],
      endpoints: { small: [engine.origin] },
    });
    const harmless = { tools: [], response_format: { type: 'text' }, grammar: null };
    expect((await router.post(chat, ask(harmless))).status).toBe(200);
  });
});

describe('labels with tokens', () => {
  it('are answered by the sum of their group, after the temperature', async () => {
    const position = { ' top': 0.35, ' arrival': 0.32, ' link': 0.3, ' fee': 0.03, ' the': 1e-40 };
    await using engine = await startEngine(stream(llamaScored(position)));
    await using router = await startRouter({
      routes: [aRoute([trained], { output: grouped })],
      endpoints: { small: [engine.origin] },
    });
    const reply = await router.post(chat, ask());
    expect(reply.json.choices[0].message.content).toBe('card');
    expect(reply.headers['x-cadre-confidence']).toBe('0.6200');
    expect(engine.last.body).toMatchObject({
      logit_bias: [' arrival', ' link', ' top', ' fee'].map((token) => [token, 100]),
      top_logprobs: 5,
    });
    router.setRoutes([aRoute([trained], { output: { ...grouped, temperature: 2 } })]);
    const calibrated = await router.post(chat, ask());
    const [a, b, c, d] = [0.35, 0.32, 0.3, 0.03].map(Math.sqrt) as [number, number, number, number];
    expect(calibrated.headers['x-cadre-confidence']).toBe(((b + c) / (a + b + c + d)).toFixed(4));
  });

  it('are not for models other than those for classification: they say the names of the answers', async () => {
    await using engine = await startEngine(stream(llamaScored({ mon: 0.5, card: 0.4, ' arrival': 0.1 })));
    await using router = await startRouter({
      routes: [aRoute([llama], { output: grouped })],
      endpoints: { small: [engine.origin] },
    });
    const reply = await router.post(chat, ask());
    expect(reply.json.choices[0].message.content).toBe('money');
    expect(reply.headers['x-cadre-confidence']).toBe('0.5556');
    expect(engine.last.body['logit_bias']).toEqual(['card', 'money', ' card', ' money'].map((name) => [name, 100]));
    engine.script = stream(llamaStream(['top_up_fee']));
    const label = await router.post(chat, ask());
    expect(label.json.choices[0].message.content).toBe('money');
    expect(label.headers).not.toHaveProperty('x-cadre-confidence');
  });

  it('that the model does not have are named in the log, once', async () => {
    const told = { ' top': 0.6, ' link': 0.3, ' fee': 0.1, arr: 0, ' the': 1e-40, ' a': 1e-41 };
    await using engine = await startEngine(stream(llamaScored(told)));
    await using router = await startRouter({
      routes: [aRoute([trained], { output: grouped })],
      endpoints: { small: [engine.origin] },
    });
    for (let at = 0; at < 2; at++)
      expect((await router.post(chat, ask())).json.choices[0].message.content).toBe('money');
    const warned = router.logged().match(/the model has no such token/g);
    expect(warned).toHaveLength(1);
    expect(router.logged()).toContain('"labels":["card_arrival"]');
  });

  it('are not answered where nothing like them is told', async () => {
    await using engine = await startEngine(stream(llamaScored({ ' the': 0.6, arrival: 0.4 })));
    await using router = await startRouter({
      routes: [aRoute([trained], { output: grouped })],
      endpoints: { small: [engine.origin] },
    });
    expect((await router.post(chat, ask())).json.error.code).toBe('invalid_output');
  });
});

describe('a literal of llama.cpp’s grammar', () => {
  it('is one line, and reads back as the label', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (label) => {
        const literal = gbnfString(label);
        expect(literal).not.toMatch(/[\n\r]/);
        const read = literal
          .slice(1, -1)
          .replaceAll(/\\(?:x([0-9A-F]{2})|(["\\]))/g, (_, hex: string | undefined, char: string) =>
            hex === undefined ? char : String.fromCharCode(Number.parseInt(hex, 16)),
          );
        expect(read).toBe(label);
      }),
    );
  });
});
