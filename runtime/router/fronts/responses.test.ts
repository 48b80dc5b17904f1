import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ApiError } from '../errors.ts';
import { chatChunk, usageChunk, vllmChat } from '../testing/answers.ts';
import { event, events } from '../testing/engine.ts';
import { receiveResponses } from './responses.ts';

/** Ids are drawn anew for each response. */
function withoutIds(text: string): string {
  return text.replaceAll(/(resp|msg|fc|rs)_[0-9a-f]{32}/g, '$1').replaceAll(/"completed_at":\d+/g, '"completed_at":0');
}

describe('a body of the Responses API', () => {
  const word = fc.constantFrom(
    'message',
    'function_call',
    'function_call_output',
    'reasoning',
    'user',
    'assistant',
    'x',
  );
  const part = fc.record(
    { type: fc.constantFrom('input_text', 'output_text', 'input_image', 'input_file', 'x'), text: fc.jsonValue() },
    { requiredKeys: [] },
  );
  const item = fc.record(
    {
      type: word,
      role: word,
      content: fc.oneof(fc.string(), fc.array(part), fc.jsonValue()),
      call_id: fc.oneof(fc.string(), fc.jsonValue()),
      name: fc.oneof(fc.string(), fc.jsonValue()),
      arguments: fc.oneof(fc.string(), fc.jsonValue()),
      output: fc.oneof(fc.string(), fc.array(part), fc.jsonValue()),
    },
    { requiredKeys: [] },
  );
  const body = fc.record(
    {
      input: fc.oneof(fc.string(), fc.array(item), fc.jsonValue()),
      instructions: fc.oneof(fc.string(), fc.jsonValue()),
      tools: fc.oneof(fc.array(item), fc.jsonValue()),
      tool_choice: fc.jsonValue(),
      text: fc.oneof(fc.record({ format: fc.jsonValue() }), fc.jsonValue()),
      reasoning: fc.jsonValue(),
      include: fc.jsonValue(),
      metadata: fc.jsonValue(),
      other: fc.jsonValue(),
    },
    { requiredKeys: [] },
  );

  /** What becomes of a body, told so that a mistake is seen. */
  function outcome(asked: { other?: unknown }): unknown {
    try {
      const { raw, front } = receiveResponses({ model: 'm', ...asked });
      const chat = JSON.parse(raw.toString()) as { messages: unknown[]; other?: unknown };
      const response = JSON.parse(front.whole(vllmChat('Hi'), 'm', false)) as { status: string };
      const isPassedOn = JSON.stringify(chat.other ?? null) === JSON.stringify(asked.other ?? null);
      return { isAsked: chat.messages.length > 0, isPassedOn, status: response.status };
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      return { status: error.status, names: typeof error.details.param };
    }
  }

  it('is a chat, or refused with the field that is wrong, whatever is in it', () => {
    fc.assert(
      fc.property(body, (asked) => {
        const asChat = { isAsked: true, isPassedOn: true, status: 'completed' };
        expect([asChat, { status: 400, names: 'string' }]).toContainEqual(outcome(asked));
      }),
      { numRuns: 300 },
    );
  });
});

describe('a stream of a response', () => {
  const text = events(
    chatChunk({ role: 'assistant', reasoning: 'Häm' }),
    chatChunk({ content: 'Grüße' }),
    chatChunk({ content: ' an alle' }),
    chatChunk({ tool_calls: [{ index: 0, id: 'c', type: 'function', function: { name: 'f', arguments: '{' } }] }),
    chatChunk({ tool_calls: [{ index: 0, function: { arguments: '}' } }] }, 'tool_calls'),
    usageChunk,
  );
  const written = (pieces: readonly Buffer[]): string => {
    const { front } = receiveResponses({ model: 'm', input: 'x' });
    return withoutIds(pieces.map((piece) => front.piece(piece)).join(''));
  };

  it('is the same however the chat is cut into pieces', () => {
    const bytes = Buffer.from(text);
    const whole = written([bytes]);
    expect(whole).toContain('event: response.completed');
    fc.assert(
      fc.property(fc.array(fc.nat(bytes.length)), (cuts) => {
        const ends = [0, ...cuts.toSorted((a, b) => a - b), bytes.length];
        const pieces = ends.slice(1).map((end, at) => bytes.subarray(ends[at], end));
        expect(written(pieces)).toBe(whole);
      }),
    );
  });

  it('numbers its events from 0, and each item is added before it grows and done at the end', () => {
    const told = written([Buffer.from(text)])
      .trimEnd()
      .split('\n\n')
      .map(
        (one) =>
          JSON.parse(one.slice(one.indexOf('{'))) as { sequence_number: number; type: string; output_index?: number },
      );
    expect(told.map(({ sequence_number: number }) => number)).toEqual([...told.keys()]);
    for (const index of [0, 1, 2]) {
      const own = told.filter(({ output_index: at }) => at === index).map(({ type }) => type);
      expect([own[0], own.at(-1)]).toEqual(['response.output_item.added', 'response.output_item.done']);
    }
  });

  it('that is told of twice ends once', () => {
    const { front } = receiveResponses({ model: 'm', input: 'x' });
    front.piece(Buffer.from(text));
    expect(front.piece(Buffer.from(event(chatChunk({ content: 'more' })) + event('[DONE]')))).not.toContain(
      'completed',
    );
  });

  it('that fails before anything was said has a response that failed', () => {
    const { front } = receiveResponses({ model: 'm', input: 'x' });
    const broken = front.broken(new ApiError(429, 'rate_limit_exceeded', 'later'));
    expect(broken).toContain('event: response.created');
    expect(broken).toContain('"error":{"code":"rate_limit_exceeded","message":"later"}');
  });
});
