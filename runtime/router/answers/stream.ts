import { type AnswerDocument, isObject, type JsonObject } from './document.ts';

/** A whole answer as the events of a stream: for clients that stream what had to be complete before it could be sent. */
export function asStream(document: AnswerDocument, withUsage: boolean): string {
  const { choices, usage, object, ...rest } = document;
  const chat = object === 'chat.completion';
  const head = { ...rest, object: chat ? 'chat.completion.chunk' : object };
  const events: JsonObject[] = [];
  for (const choice of choices) {
    if (!chat) {
      events.push({ ...head, choices: [choice] });
      continue;
    }
    const { message, finish_reason, ...fields } = choice;
    const delta = isObject(message) ? withIndexedCalls(message) : {};
    events.push({ ...head, choices: [{ ...fields, delta, finish_reason: null }] });
    events.push({ ...head, choices: [{ index: choice.index, delta: {}, finish_reason }] });
  }
  if (withUsage && usage !== undefined) events.push({ ...head, choices: [], usage });
  return `${events.map((event) => `data: ${JSON.stringify(event)}\n\n`).join('')}data: [DONE]\n\n`;
}

/** In a stream, tool calls carry their index. */
function withIndexedCalls(message: JsonObject): JsonObject {
  const calls = message['tool_calls'];
  if (!Array.isArray(calls)) return message;
  return {
    ...message,
    tool_calls: calls.map((call: unknown, index) => (isObject(call) ? Object.assign({ index }, call) : call)),
  };
}
