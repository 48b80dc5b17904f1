import { isObject, type JsonObject } from '../answers/document.ts';
import type { RequestBody } from '../operations.ts';
import { invalid, isSet, shown, unsupported } from './responses-errors.ts';
import { messagesOf } from './responses-input.ts';

/** What needs a store, or tools that run at OpenAI, with what to do instead. */
const refused: Readonly<Record<string, string>> = {
  previous_response_id: 'no response is stored: send the whole conversation as "input"',
  conversation: 'no conversation is stored: send the whole conversation as "input"',
  prompt: 'no prompt is stored: send its text as "instructions" and "input"',
  background: 'no response is stored: leave "background" out and wait for the answer, or stream it',
  context_management: 'nothing is compacted: send the "input" that the model is to read',
};

/**
 * The chat that a request of the Responses API asks for. Fields that are the same in both, and those that neither knows, go
 * on as they are. Throws an `ApiError` (400) for what a chat can't do.
 */
export function chatRequest(body: RequestBody): JsonObject {
  for (const [field, cure] of Object.entries(refused)) if (isSet(body[field])) throw unsupported(field, cure);
  if (body['truncation'] === 'auto')
    throw unsupported('truncation', 'the input is never cut: leave it out, and send what fits');
  const {
    input,
    instructions,
    tools,
    tool_choice: choice,
    text,
    max_output_tokens: most,
    reasoning,
    include,
    top_logprobs: top,
    stream_options: _options,
    store: _store,
    metadata: _metadata,
    truncation: _truncation,
    max_tool_calls: _calls,
    ...same
  } = withoutNulls(body);
  if (instructions !== undefined && typeof instructions !== 'string') throw invalid('instructions', 'must be a text');
  const chat: JsonObject = { ...same, messages: messagesOf(input, instructions) };
  for (const field of Object.keys(refused)) delete chat[field];
  if (most !== undefined) chat['max_completion_tokens'] = most;
  if (tools !== undefined) chat['tools'] = toolsOf(tools);
  if (choice !== undefined) chat['tool_choice'] = toolChoice(choice);
  if (Array.isArray(chat['tools']) && chat['tools'].length === 0) {
    delete chat['tools']; // chats want at least one
    delete chat['tool_choice'];
    delete chat['parallel_tool_calls'];
  }
  if (text !== undefined) Object.assign(chat, textFields(text));
  if (isObject(reasoning) && isSet(reasoning['effort'])) chat['reasoning_effort'] = reasoning['effort'];
  if (Array.isArray(include) && include.includes('message.output_text.logprobs'))
    Object.assign(chat, { logprobs: true, top_logprobs: top ?? 0 });
  return chat;
}

/** In this API null is the same as nothing. */
function withoutNulls(body: RequestBody): JsonObject {
  return Object.fromEntries(Object.entries(body).filter(([, value]) => value !== null));
}

function toolsOf(tools: unknown): JsonObject[] {
  if (!Array.isArray(tools)) throw invalid('tools', 'must be a list');
  return tools.map((tool: unknown, at) => {
    if (!isObject(tool) || tool['type'] !== 'function') {
      const type = isObject(tool) ? shown(tool['type']) : 'none';
      throw unsupported(`tools[${at}]`, `tools of type ${type} run at OpenAI only: describe it as type "function"`);
    }
    const { name, description, parameters, strict } = tool;
    if (typeof name !== 'string') throw invalid(`tools[${at}].name`, 'must be a text');
    return {
      type: 'function',
      function: {
        name,
        ...(isSet(description) && { description }),
        ...(isSet(parameters) && { parameters }),
        ...(isSet(strict) && { strict }),
      },
    };
  });
}

function toolChoice(choice: unknown): unknown {
  if (choice === 'auto' || choice === 'none' || choice === 'required') return choice;
  if (isObject(choice) && choice['type'] === 'function' && typeof choice['name'] === 'string')
    return { type: 'function', function: { name: choice['name'] } };
  const cure = 'it is "auto", "none", "required", or a function: {"type": "function", "name": …}';
  throw unsupported('tool_choice', cure);
}

function textFields(text: unknown): JsonObject {
  if (!isObject(text)) throw invalid('text', 'must be an object');
  const { format, verbosity } = text;
  const fields: JsonObject = isSet(verbosity) ? { verbosity } : {};
  if (!isSet(format)) return fields;
  if (!isObject(format)) throw invalid('text.format', 'must be an object');
  const { type, ...rest } = format;
  if (type === 'text') return fields;
  if (type === 'json_object') return { ...fields, response_format: { type } };
  if (type === 'json_schema') return { ...fields, response_format: { type, json_schema: rest } };
  throw unsupported('text.format', 'its type is "text", "json_object" or "json_schema"');
}
