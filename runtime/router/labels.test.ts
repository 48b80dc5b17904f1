import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { gbnfString } from './providers/llama-cpp.ts';
import { llamaStream, llamaText, vllmChat, vllmStream } from './testing/answers.ts';
import { json, startEngine, stream } from './testing/engine.ts';
import { answering, startProvider } from './testing/provider.ts';
import { aModel, aProvider, aRoute, startRouter } from './testing/router.ts';

const chat = '/v1/chat/completions';
const ask = (over: object = {}) => ({ model: 'triage', messages: [{ role: 'user', content: 'hello' }], ...over });
const labels = ['billing', 'refund "now"', 'back\\slash'];
const output = { labels };

describe('an answer from a label set', () => {
  it('is what llama-server is held to by a grammar, and comes without white space', async () => {
    await using engine = await startEngine(stream(llamaText([' bil', 'ling', '\n'])));
    await using router = await startRouter({
      routes: [aRoute([aModel('small', { engine: 'LlamaCpp' })], { output })],
      endpoints: { small: [engine.origin] },
    });
    const reply = await router.post('/v1/completions', { model: 'triage', prompt: 'x' });
    expect(reply.json.choices[0].text).toBe('billing');
    expect(engine.last.body['grammar']).toBe('root ::= " "? ("billing" | "refund \\"now\\"" | "back\\\\slash")');
    engine.script = stream(llamaStream(['refund "now"']));
    expect((await router.post(chat, ask())).json.choices[0].message.content).toBe('refund "now"');
    expect(engine.last.body['grammar']).toBe('root ::= "billing" | "refund \\"now\\"" | "back\\\\slash"');
  });

  it('is what vLLM is held to by structured outputs', async () => {
    await using engine = await startEngine(json(vllmChat('billing')));
    await using router = await startRouter({
      routes: [aRoute([aModel('small')], { output })],
      endpoints: { small: [engine.origin] },
    });
    expect((await router.post(chat, ask())).json).toEqual({ ...vllmChat('billing'), model: 'triage' });
    expect(engine.last.body['structured_outputs']).toEqual({ choice: labels });
    engine.script = json({
      ...vllmChat(''),
      object: 'text_completion',
      choices: [{ index: 0, text: ' billing', finish_reason: 'stop' }],
    });
    expect((await router.post('/v1/completions', { model: 'triage', prompt: 'x' })).json.choices[0].text).toBe(
      'billing',
    );
    const all = labels.flatMap((label) => [label, ` ${label}`]);
    expect(engine.last.body).toMatchObject({ structured_outputs: { choice: all }, max_tokens: 13 });
  });

  it('goes to a client that streams once it is complete', async () => {
    await using engine = await startEngine(stream(vllmStream([' ', 'billing'])));
    await using router = await startRouter({
      routes: [aRoute([aModel('small')], { output })],
      endpoints: { small: [engine.origin] },
    });
    const reply = await router.post(chat, ask({ stream: true, stream_options: { include_usage: true } }));
    const events = reply.text.split('\n\n').filter((text) => text.startsWith('data: {'));
    const chunks = events.map((text) => JSON.parse(text.slice(6)) as Record<string, unknown>);
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
    const plain = await router.post(chat, ask({ stream: true }));
    expect(plain.text).not.toContain('"usage"');
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
    expect(provider.received[0]?.body).toEqual({ ...ask({ max_tokens: 1 }), model: 'gpt' });
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

  it('is not asked of what says nothing about it', async () => {
    await using engine = await startEngine(json(vllmChat('billing')));
    await using router = await startRouter({
      routes: [aRoute([aModel('small')], { output })],
      endpoints: { small: [engine.origin] },
    });
    const harmless = { tools: [], response_format: { type: 'text' }, grammar: null };
    expect((await router.post(chat, ask(harmless))).status).toBe(200);
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
