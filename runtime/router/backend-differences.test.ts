import { describe, expect, it } from 'vitest';
import { chatChunk, llamaStream, usageChunk, vllmChat } from './testing/answers.ts';
import { events, json, startEngine, stream } from './testing/engine.ts';
import { aModel, aRoute, startRouter } from './testing/router.ts';

const chat = '/v1/chat/completions';
const ask = (over: object = {}) => ({ model: 'triage', messages: [{ role: 'user', content: 'hello' }], ...over });
const usage = (completion_tokens: number) => ({
  prompt_tokens: 12,
  completion_tokens,
  total_tokens: 12 + completion_tokens,
});

describe('llama-server, which answers to any model name with the model that it has', () => {
  it('is asked by the name that it has, and never for a model that no policy knows', async () => {
    await using engine = await startEngine(stream(llamaStream(['hi'])));
    await using router = await startRouter({
      routes: [aRoute([aModel('small', { engine: 'LlamaCpp', servedModel: 'tickets' })])],
      endpoints: { small: [engine.origin] },
    });
    expect((await router.post(chat, ask())).json.model).toBe('triage');
    expect((await router.post(chat, ask({ model: 'tickets' }))).status).toBe(404);
    expect(engine.received.map(({ body }) => body['model'])).toEqual(['tickets']);
  });
});

describe('the usage of a stream', () => {
  const metered = async (text: string, wanted: boolean) => {
    await using engine = await startEngine(stream(text));
    await using router = await startRouter({
      routes: [aRoute([aModel('small')])],
      endpoints: { small: [engine.origin] },
    });
    const options = wanted ? { stream_options: { include_usage: true } } : {};
    const reply = await router.post(chat, ask({ stream: true, ...options }));
    expect(reply.text).toMatch(/data: \[DONE\]\n\n$/);
    const { prompt, completion, cached } = router.context.metrics
      .series('support/triage', 'small')
      .spending.of('web', 'Accepted').tokens;
    return [prompt, completion, cached];
  };

  it.each([true, false])('is metered also where it stands on a piece of the answer (asked for: %s)', async (wanted) => {
    const last = { ...chatChunk({ content: 'hi' }, 'stop'), usage: usage(3) };
    expect(await metered(events(chatChunk({ role: 'assistant' }), last), wanted)).toEqual([12, 3, 0]);
  });

  it('that is told with each piece is the last one, not the sum', async () => {
    const piece = (count: number, finish: string | null) =>
      Object.assign(chatChunk({ content: 'x' }, finish), { usage: usage(count) });
    const pieces = [piece(1, null), piece(2, null), piece(3, 'stop')];
    expect(await metered(events(...pieces, { ...usageChunk, usage: usage(3) }), true)).toEqual([12, 3, 0]);
  });

  it('has the cached tokens in it', async () => {
    expect(await metered(events(chatChunk({ content: 'x' }, 'stop'), usageChunk), false)).toEqual([12, 3, 4]);
  });
});

describe('the tokens of an attempt', () => {
  it('count where another backend answered', async () => {
    await using cut = await startEngine(json(vllmChat('this is no label')));
    await using good = await startEngine(json(vllmChat('refund')));
    const output = { labels: ['billing', 'refund'] };
    await using router = await startRouter({
      routes: [aRoute([aModel('small'), aModel('big')], { output })],
      endpoints: { small: [cut.origin], big: [good.origin] },
    });
    expect((await router.post(chat, ask())).headers['x-cadre-backend']).toBe('big');
    const tokens = (name: string, outcome: string) =>
      router.context.metrics.series('support/triage', name).spending.of('web', outcome).tokens.prompt;
    expect([tokens('small', 'Invalid') > 0, tokens('big', 'Accepted')]).toEqual([true, 12]);
  });
});
