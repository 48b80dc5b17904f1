import { describe, expect, it } from 'vitest';
import { classified } from './testing/answers.ts';
import { json, startEngine } from './testing/engine.ts';
import { aModel, aRoute, startRouter } from './testing/router.ts';

const chat = '/v1/chat/completions';
const ask = (over: object = {}) => ({ model: 'triage', messages: [{ role: 'user', content: 'hello' }], ...over });
/** 4 labels in 2 groups. */
const grouped = {
  labels: ['card_arrival', 'card_linking', 'top_up', 'top_up_fee'],
  groups: [
    { name: 'card', labels: ['card_arrival', 'card_linking'] },
    { name: 'money', labels: ['top_up', 'top_up_fee'] },
  ],
};

describe('a model with a classification head', () => {
  const head = aModel('small', { task: 'Classification', classify: 'Text' });

  it('is asked with the last message of the user, and answers as any other model does', async () => {
    await using engine = await startEngine(json(classified('card_linking', 0.3, 0.4, 0.25, 0.05)));
    await using router = await startRouter({
      routes: [aRoute([head], { output: grouped })],
      endpoints: { small: [engine.origin] },
    });
    const messages = [
      { role: 'system', content: 'Sort.' },
      { role: 'user', content: 'first' },
      { role: 'user', content: [{ type: 'text', text: 'Where is my card?' }] },
    ];
    const reply = await router.post(chat, ask({ messages, n: 1 }));
    expect(engine.last).toMatchObject({ path: '/classify', body: { model: 'served', input: 'Where is my card?' } });
    expect(reply.json).toEqual({
      id: 'classify-1',
      object: 'chat.completion',
      created: 1_760_000_000,
      model: 'triage',
      choices: [{ index: 0, message: { role: 'assistant', content: 'card' }, logprobs: null, finish_reason: 'stop' }],
      usage: {
        prompt_tokens: 12,
        completion_tokens: 0,
        total_tokens: 12,
        prompt_tokens_details: { cached_tokens: 0 },
      },
    });
    expect(reply.headers['x-cadre-confidence']).toBe('0.7000');
    const streamed = await router.post(chat, ask({ stream: true }));
    expect(streamed.text).toContain('"delta":{"role":"assistant","content":"card"}');
    expect(await router.metric('cadre_router_tokens_total', { kind: 'prompt' })).toBe(24);
  });

  it('with a prompt template is given the messages', async () => {
    await using engine = await startEngine(json(classified('LABEL_1', 0.2, 0.8)));
    await using router = await startRouter({
      routes: [aRoute([{ ...head, classify: 'Messages' }], { output: { labels: ['billing', 'refund'] } })],
      endpoints: { small: [engine.origin] },
    });
    const reply = await router.post(chat, ask());
    expect(engine.last.body).toEqual({ model: 'served', messages: ask().messages });
    expect(reply.json.choices[0].message.content).toBe('refund');
  });

  it('classifies every text of a completion; the confidence is the lowest of theirs', async () => {
    const [first] = classified('billing', 0.9, 0.1).data;
    await using engine = await startEngine(
      json({ ...classified('refund', 0.4, 0.6), data: [first, { ...first, label: 'refund', probs: [0.4, 0.6] }] }),
    );
    await using router = await startRouter({
      routes: [aRoute([head], { output: { labels: ['billing', 'refund'] } })],
      endpoints: { small: [engine.origin] },
    });
    const reply = await router.post('/v1/completions', { model: 'triage', prompt: ['a', 'b'] });
    expect(engine.last.body['input']).toEqual(['a', 'b']);
    expect(reply.json.choices.map(({ text }: { text: string }) => text)).toEqual(['billing', 'refund']);
    expect(reply.headers['x-cadre-confidence']).toBe('0.6000');
  });

  it('answers with its own labels where the policy has none', async () => {
    await using engine = await startEngine(json(classified('other', 0.1, 0.9)));
    await using router = await startRouter({ routes: [aRoute([head])], endpoints: { small: [engine.origin] } });
    const reply = await router.post(chat, ask());
    expect(reply.json.choices[0].message.content).toBe('other');
    expect(reply.headers['x-cadre-confidence']).toBe('0.9000');
  });

  it.each([
    [classified('billing', 0.5, 0.3, 0.2), 'has 3 classes, and the policy has 2 labels'],
    [classified('refund', 0.9, 0.1), 'calls a class "refund" that is "billing" in the order of the policy'],
  ])('whose classes are not the labels is not believed', async (answer, message) => {
    await using engine = await startEngine(json(answer));
    await using router = await startRouter({
      routes: [aRoute([head], { output: { labels: ['billing', 'refund'] } })],
      endpoints: { small: [engine.origin] },
    });
    const reply = await router.post(chat, ask());
    expect([reply.status, reply.json.error.code]).toEqual([502, 'invalid_output']);
    expect(reply.json.error.message).toContain(message);
  });

  it('needs a text', async () => {
    await using router = await startRouter({ routes: [aRoute([head])], endpoints: { small: ['http://127.0.0.1:1'] } });
    const image = await router.post(chat, ask({ messages: [{ role: 'user', content: [{ type: 'image_url' }] }] }));
    expect([image.status, image.json.error.param]).toEqual([400, 'messages']);
    const tokens = await router.post('/v1/completions', { model: 'triage', prompt: [1, 2] });
    expect([tokens.status, tokens.json.error.param]).toEqual([400, 'prompt']);
  });
});
