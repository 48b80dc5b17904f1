import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { AssembledAnswer } from '../../answers/assembled.ts';
import type { AnswerDocument, JsonObject } from '../../answers/document.ts';
import type { AnswerReader, Ended } from '../../answers/reader.ts';
import { WholeAnswer } from '../../answers/whole.ts';
import { ApiError } from '../../errors.ts';
import type { RequestBody } from '../../operations.ts';
import { events, type Message, text, toolUse, wholeMessage, wire } from '../../testing/anthropic.ts';
import { aProvider } from '../../testing/router.ts';
import { NotTranslatable } from '../not-translatable.ts';
import { MessageReader } from './message-reader.ts';
import { messagesRequest } from './request.ts';
import { StreamReader } from './stream-reader.ts';

const backend = 'flagship';
const flow = { progressed: () => undefined, pause: () => undefined, resume: () => undefined, fail: () => undefined };

/** Has an answer read that arrives in chunks of these sizes, in turn. */
function read(reader: AnswerReader, answer: string, sizes: readonly number[]): Ended {
  const bytes = Buffer.from(answer);
  const begun = reader.begin(flow, 'text/event-stream');
  if (begun !== undefined) return begun;
  for (let at = 0, turn = 0; at < bytes.length; turn++) {
    const size = sizes[turn % sizes.length] ?? bytes.length;
    const verdict = reader.data(bytes.subarray(at, at + size));
    if (verdict !== undefined) return verdict;
    at += size;
  }
  return reader.end();
}

const block = fc.oneof(
  fc.string({ unit: 'grapheme', maxLength: 20 }).map(text),
  fc
    .tuple(fc.string({ minLength: 1, maxLength: 8 }), fc.dictionary(fc.string({ maxLength: 5 }), fc.jsonValue()))
    .map(([name, input]) => toolUse(name, input)),
  fc.constant({ type: 'thinking', thinking: 'hm', signature: 's' }),
);
const anyMessage: fc.Arbitrary<Message> = fc.record({
  content: fc.array(block, { maxLength: 4 }),
  stop_reason: fc.constantFrom('end_turn', 'max_tokens', 'tool_use', 'refusal'),
  stop_details: fc.constantFrom(null, { type: 'refusal', explanation: 'no' }),
});
const sizes = fc.array(fc.integer({ min: 1, max: 400 }), { minLength: 1, maxLength: 5 });

describe('a message of Anthropic', () => {
  it('is the same answer whole and streamed, however it is cut into chunks', () => {
    fc.assert(
      fc.property(anyMessage, sizes, (said, chunks) => {
        const options = { backend, interruptedReason: undefined };
        const whole = new WholeAnswer({ ...options, text: true });
        const assembled = new AssembledAnswer({ ...options, usageKind: 'Running' });
        const streamed = wire(...events(said));
        expect(read(new MessageReader(whole, backend, true), JSON.stringify(wholeMessage(said)), chunks)).toBe(
          'Complete',
        );
        expect(read(new StreamReader(assembled, backend, true), streamed, chunks)).toBe('Complete');
        expect(assembled.usage).toEqual(whole.usage);
        expect(answered(assembled.document)).toEqual(answered(whole.document));
      }),
    );
  });

  it('can be anything, and is an answer or a failure', () => {
    const types = [
      'message_start',
      'content_block_start',
      'content_block_delta',
      'content_block_stop',
      'message_delta',
    ];
    const event = fc
      .tuple(
        fc.constantFrom(...types, 'message_stop', 'error', 'new'),
        fc.dictionary(fc.string(), fc.jsonValue()),
        fc.jsonValue(),
      )
      .map(([type, rest, any]) =>
        Object.assign({ index: 0, message: any, content_block: any, delta: any, usage: any, error: any }, rest, {
          type,
        }),
      );
    fc.assert(
      fc.property(fc.array(event), sizes, (all, chunks) => {
        const inner = new AssembledAnswer({ backend, interruptedReason: undefined, usageKind: 'Running' });
        const ended = read(new StreamReader(inner, backend, true), wire(...all), chunks);
        expect(ended === 'Complete' ? inner.document !== undefined : ended.error instanceof ApiError).toBe(true);
      }),
    );
  });
});

/** What a client sees of an answer, but for what a stream is told by. */
function answered(document: JsonObject | undefined) {
  const [choice] = (document as AnswerDocument | undefined)?.choices ?? [];
  const message = (choice?.['message'] ?? {}) as Answered;
  // A call's arguments are the same JSON however they are spaced; an answer without text is one however that is told.
  const calls = message.tool_calls?.map(({ id, function: { name, arguments: json } }) => [id, name, JSON.parse(json)]);
  return { content: message.content || null, refusal: message.refusal ?? null, calls, finish: choice?.finish_reason };
}

interface Answered {
  content?: string | null;
  refusal?: string | null;
  tool_calls?: { id: string; function: { name: string; arguments: string } }[];
}

describe('a request to Anthropic', () => {
  const names =
    'messages max_tokens stop temperature n tools tool_choice response_format user parallel_tool_calls prompt';
  const fields = fc.constantFrom(...`${names} modalities thinking suffix`.split(' '));
  const role = fc.constantFrom('system', 'user', 'assistant', 'tool', 'function', 'x');
  const parts = fc.record({
    type: fc.constantFrom('text', 'image_url', 'refusal', 'x'),
    text: fc.jsonValue(),
    image_url: fc.jsonValue(),
  });
  const turn = fc.record(
    { role, content: fc.oneof(fc.jsonValue(), fc.array(parts)), tool_calls: fc.jsonValue(), tool_call_id: fc.string() },
    { requiredKeys: ['role'] },
  );
  const body = fc.dictionary(fields, fc.oneof(fc.jsonValue(), fc.array(turn)));

  it('is made of whatever a client sends, or that is told to be wrong', () => {
    fc.assert(
      fc.property(body, fc.boolean(), (sent, isChat) => {
        expect(asked(sent, isChat)).toMatch(/^(made|told)$/);
      }),
    );
  });
});

/** Whether a request is made of a body, or its client is told what is wrong with it. */
function asked(body: RequestBody, isChat: boolean): 'made' | 'told' {
  const claude = aProvider(backend, 'https://api.anthropic.com/v1', { dialect: 'Anthropic' });
  try {
    messagesRequest(body, { isChat, stream: false, backend: claude });
    return 'made';
  } catch (error) {
    if (error instanceof ApiError || error instanceof NotTranslatable) return 'told';
    throw error;
  }
}
