import { isObject, type JsonObject } from '../../answers/document.ts';

/** What OpenAI calls the reasons for which Anthropic's models stop. */
const finishReasons: Readonly<Record<string, string>> = {
  end_turn: 'stop',
  stop_sequence: 'stop',
  // Only tools that Anthropic runs itself pause a turn, and it is asked for none.
  pause_turn: 'stop',
  max_tokens: 'length',
  model_context_window_exceeded: 'length',
  tool_use: 'tool_calls',
  refusal: 'content_filter',
};

/** OpenAI's `finish_reason`; a reason that is new is an end. */
export function finishReason(stopReason: string): string {
  return (Object.hasOwn(finishReasons, stopReason) && finishReasons[stopReason]) || 'stop';
}

/** Why the model refused, in its provider's words; null where it did not, or no reason is told. */
export function refusalOf(details: unknown): string | null {
  const explanation = isObject(details) ? details['explanation'] : undefined;
  return typeof explanation === 'string' && explanation !== '' ? explanation : null;
}

/**
 * OpenAI's usage. Its prompt tokens include those from and for the cache, which Anthropic counts apart from
 * `input_tokens`; undefined where a count is missing: tokens are never guessed.
 */
export function usage(counted: JsonObject): JsonObject | undefined {
  const {
    input_tokens: input,
    output_tokens: completion,
    cache_read_input_tokens: read,
    cache_creation_input_tokens: written,
    output_tokens_details: details,
  } = counted;
  if (typeof input !== 'number' || typeof completion !== 'number') return undefined;
  const [cached, cacheWrite] = [orNone(read), orNone(written)];
  const prompt = input + cached + cacheWrite;
  const thinking = isObject(details) ? details['thinking_tokens'] : undefined;
  return {
    prompt_tokens: prompt,
    completion_tokens: completion,
    total_tokens: prompt + completion,
    prompt_tokens_details: { cached_tokens: cached, cache_write_tokens: cacheWrite },
    ...(typeof thinking === 'number' && { completion_tokens_details: { reasoning_tokens: thinking } }),
  };
}

function orNone(count: unknown): number {
  return typeof count === 'number' ? count : 0;
}

/** Anthropic's message as OpenAI's answer; undefined where it is none. What the model thought is not passed on. */
export function asAnswer(message: JsonObject, isChat: boolean): JsonObject | undefined {
  const { type, content, stop_reason: stop, stop_details: details } = message;
  if (type !== 'message' || !Array.isArray(content) || typeof stop !== 'string') return undefined;
  const blocks = content.filter(isObject);
  const text = blocks
    .flatMap((block) => (typeof block['text'] === 'string' && block['type'] === 'text' ? block['text'] : []))
    .join('');
  const finish = { logprobs: null, finish_reason: finishReason(stop) };
  const head = headOf(message, isChat);
  const counted = isObject(message['usage']) ? usage(message['usage']) : undefined;
  const choice = isChat
    ? { index: 0, message: chatMessage(text, blocks, refusalOf(details)), ...finish }
    : { text, index: 0, ...finish };
  return { ...head, choices: [choice], ...(counted && { usage: counted }) };
}

/** What every piece of one answer begins with. `object` is that of a whole answer. */
export function headOf({ id, model }: JsonObject, isChat: boolean): JsonObject {
  const created = Math.floor(Date.now() / 1000);
  return { id, object: isChat ? 'chat.completion' : 'text_completion', created, model };
}

function chatMessage(text: string, blocks: readonly JsonObject[], refusal: string | null): JsonObject {
  const calls = blocks.flatMap((block) => {
    if (block['type'] !== 'tool_use') return [];
    const { id, name, input } = block;
    return { id, type: 'function', function: { name, arguments: JSON.stringify(input ?? {}) } };
  });
  return {
    role: 'assistant',
    content: text === '' && calls.length > 0 ? null : text,
    refusal,
    ...(calls.length > 0 && { tool_calls: calls }),
  };
}
