import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Assembler } from './assemble.ts';
import type { AnswerDocument } from './document.ts';
import { asStream } from './stream.ts';

const head = { id: 'c1', object: 'chat.completion.chunk', created: 1, model: 'm' };
const piece = (delta: object, over: object = {}) => ({
  ...head,
  choices: [{ index: 0, delta, finish_reason: null, ...over }],
});

function assemble(...pieces: object[]) {
  const assembler = new Assembler();
  for (const one of pieces) assembler.add(structuredClone(one) as AnswerDocument);
  return assembler.finish();
}

describe('a streamed answer, put together', () => {
  it('has the text of all pieces, the last finish reason and the usage', () => {
    const usage = { prompt_tokens: 1, completion_tokens: 2, total_tokens: 3 };
    expect(
      assemble(
        piece({ role: 'assistant', content: null }),
        piece({ content: 'Hel' }),
        piece({ content: 'lo', reasoning_content: 'hm' }),
        piece({}, { finish_reason: 'stop' }),
        { ...head, choices: [], usage },
      ),
    ).toEqual({
      ...head,
      object: 'chat.completion',
      choices: [
        { index: 0, message: { role: 'assistant', content: 'Hello', reasoning_content: 'hm' }, finish_reason: 'stop' },
      ],
      usage,
    });
  });

  it('has each choice on its own, in order', () => {
    const of = (index: number, content: string) => ({
      ...head,
      choices: [{ index, delta: { content }, finish_reason: null }],
    });
    const answer = assemble(of(1, 'b'), of(0, 'a'), of(1, 'B'), of(0, 'A'));
    expect(answer?.choices.map((choice) => choice['message'])).toEqual([
      { role: 'assistant', content: 'aA' },
      { role: 'assistant', content: 'bB' },
    ]);
  });

  it('has tool calls with whole arguments and without the index of the stream', () => {
    const call = (index: number, over: object) => piece({ tool_calls: [{ index, ...over }] });
    const answer = assemble(
      piece({ role: 'assistant', content: null }),
      call(0, { id: 'a', type: 'function', function: { name: 'first', arguments: '' } }),
      call(0, { function: { arguments: '{"x"' } }),
      call(1, { id: 'b', type: 'function', function: { name: 'second', arguments: '{}' } }),
      call(0, { function: { arguments: ':1}' } }),
      piece({}, { finish_reason: 'tool_calls' }),
    );
    expect(answer?.choices[0]).toMatchObject({
      finish_reason: 'tool_calls',
      message: {
        content: null,
        tool_calls: [
          { id: 'a', type: 'function', function: { name: 'first', arguments: '{"x":1}' } },
          { id: 'b', type: 'function', function: { name: 'second', arguments: '{}' } },
        ],
      },
    });
    expect(JSON.stringify(answer)).not.toContain('"index":1');
  });

  it('has the log-probabilities of all tokens, in either shape', () => {
    const token = (text: string) => ({ token: text, logprob: -1, top_logprobs: [] });
    const chat = assemble(
      piece({ content: 'a' }, { logprobs: { content: [token('a')] } }),
      piece({ content: 'b' }, { logprobs: { content: [token('b')] } }),
      piece({}, { logprobs: null, finish_reason: 'stop' }),
    );
    expect(chat?.choices[0]?.['logprobs']).toEqual({ content: [token('a'), token('b')] });
    const text = (value: string) => ({
      ...head,
      object: 'text_completion',
      choices: [{ index: 0, text: value, logprobs: { tokens: [value], token_logprobs: [-1] }, finish_reason: null }],
    });
    expect(assemble(text('a'), text('b'))).toMatchObject({
      object: 'text_completion',
      choices: [{ text: 'ab', logprobs: { tokens: ['a', 'b'], token_logprobs: [-1, -1] } }],
    });
  });

  it('of no choice is none', () => {
    expect(assemble({ ...head, choices: [] })).toBeUndefined();
    expect(assemble()).toBeUndefined();
  });

  it('is what was taken apart, for any text', () => {
    const choice = fc.record({
      message: fc.record({ role: fc.constant('assistant'), content: fc.string({ unit: 'grapheme' }) }),
      logprobs: fc.constantFrom(null, { content: [{ token: 'a', logprob: -0.5 }] }),
      finish_reason: fc.constantFrom('stop', 'length'),
    });
    fc.assert(
      fc.property(fc.array(choice, { minLength: 1, maxLength: 3 }), (made) => {
        const choices = made.map((one, index) => ({ index, ...one }));
        const answer = { choices, ...head, object: 'chat.completion', usage: { total_tokens: 3 } };
        const events = asStream(answer, true).split('\n\n').slice(0, -2);
        const pieces = events.map((event) => JSON.parse(event.slice('data: '.length)) as object);
        expect(assemble(...pieces)).toEqual(answer);
      }),
    );
  });
});

describe('a hostile upstream', () => {
  const hostile = (json: string) => JSON.parse(json) as object;

  it('reaches no prototype by a member named __proto__', () => {
    const inDelta = hostile('{"role":"assistant","__proto__":{"polluted":1}}');
    const inChoice = hostile('{"choices":[{"index":0,"delta":{"content":"x"},"__proto__":{"polluted":1}}]}');
    const inDocument = hostile('{"__proto__":{"polluted":1},"choices":[]}');
    const answer = assembleParsed(piece({ content: 'a' }), piece(inDelta), inChoice, inChoice, inDocument, inDocument);
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
    expect((answer as unknown as Record<string, unknown>)['polluted']).toBeUndefined();
    expect(answer?.choices[0]?.['message']).toMatchObject({ role: 'assistant', content: 'axx' });
  });

  it('does not exhaust the stack by nesting', () => {
    const deep = () =>
      hostile(`{"choices":[{"index":0,"text":"x","deep":${'{"a":'.repeat(50_000)}1${'}'.repeat(50_000)}}]}`);
    expect(assembleParsed(deep(), deep())?.choices[0]).toMatchObject({ text: 'xx' });
  });
});

/** As it comes out of JSON.parse: a structured clone would lose a member named `__proto__`. */
function assembleParsed(...pieces: object[]) {
  const assembler = new Assembler();
  for (const one of pieces) assembler.add(one as AnswerDocument);
  return assembler.finish();
}
