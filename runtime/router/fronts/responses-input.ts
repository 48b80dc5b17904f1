import { isObject, type JsonObject } from '../answers/document.ts';
import { invalid, isSet, shown, unsupported } from './responses-errors.ts';

/** The messages of a chat that say what `input` and `instructions` say. Throws an `ApiError` (400). */
export function messagesOf(input: unknown, instructions: string | undefined): JsonObject[] {
  const messages: JsonObject[] = [];
  if (instructions !== undefined) messages.push({ role: 'system', content: instructions });
  if (typeof input === 'string') return [...messages, { role: 'user', content: input }];
  if (!Array.isArray(input)) throw invalid('input', 'is required: a text, or a list of items');
  for (const [at, item] of input.entries()) addItem(messages, item, `input[${at}]`);
  if (messages.length === 0) throw invalid('input', 'has no message');
  return messages;
}

function addItem(messages: JsonObject[], item: unknown, where: string): void {
  if (!isObject(item)) throw invalid(where, 'must be an object');
  switch (item['type'] ?? 'message') {
    case 'message':
      messages.push(message(item, where));
      return;
    case 'reasoning':
      return; // of another answer: chats don't take it back
    case 'function_call':
      addCall(messages, item, where);
      return;
    case 'function_call_output':
      messages.push({
        role: 'tool',
        tool_call_id: callId(item, where),
        content: content(item['output'], `${where}.output`),
      });
      return;
    case 'item_reference':
      throw unsupported(where, 'no item is stored: send the item itself');
    default:
      throw unsupported(where, `items of type ${shown(item['type'])} belong to tools that run at OpenAI only`);
  }
}

function message({ role, content: said }: JsonObject, where: string): JsonObject {
  if (role !== 'user' && role !== 'assistant' && role !== 'system' && role !== 'developer')
    throw invalid(`${where}.role`, 'must be "user", "assistant", "system" or "developer"');
  if (role === 'assistant') return { role, content: spoken(said, `${where}.content`) };
  // Chat templates of open models know no developer.
  return { role: role === 'developer' ? 'system' : role, content: content(said, `${where}.content`) };
}

/** Calls of one turn are one message in a chat, with what the assistant said before them. */
function addCall(messages: JsonObject[], item: JsonObject, where: string): void {
  const { name, arguments: given } = item;
  if (typeof name !== 'string') throw invalid(`${where}.name`, 'must be a text');
  if (typeof given !== 'string') throw invalid(`${where}.arguments`, 'must be a text: JSON');
  const call = { id: callId(item, where), type: 'function', function: { name, arguments: given } };
  const last = messages.at(-1);
  if (last?.['role'] !== 'assistant') messages.push({ role: 'assistant', content: null, tool_calls: [call] });
  else if (Array.isArray(last['tool_calls'])) last['tool_calls'].push(call);
  else last['tool_calls'] = [call];
}

function callId({ call_id: id }: JsonObject, where: string): string {
  if (typeof id !== 'string') throw invalid(`${where}.call_id`, 'must be a text');
  return id;
}

/** What an assistant said is one text. */
function spoken(said: unknown, where: string): string {
  if (typeof said === 'string') return said;
  const parts = partsOf(said, where).map((part) => part['text'] ?? part['refusal']);
  if (!parts.every((part) => typeof part === 'string'))
    throw invalid(where, 'must be texts, as an assistant says them');
  return parts.join('');
}

/** A text, or parts as chats have them; one text alone is no part. */
function content(said: unknown, where: string): string | JsonObject[] {
  if (typeof said === 'string') return said;
  const parts = partsOf(said, where).map((part, at) => chatPart(part, `${where}[${at}]`));
  const [only] = parts;
  return parts.length === 1 && typeof only?.['text'] === 'string' ? only['text'] : parts;
}

function partsOf(said: unknown, where: string): JsonObject[] {
  if (Array.isArray(said) && said.every(isObject)) return said;
  throw invalid(where, 'must be a text, or a list of parts');
}

function chatPart(part: JsonObject, where: string): JsonObject {
  const { type, text, image_url: url, detail, file_id: id } = part;
  switch (type) {
    case 'input_text':
    case 'output_text':
    case 'text':
      if (typeof text !== 'string') throw invalid(`${where}.text`, 'must be a text');
      return { type: 'text', text };
    case 'input_image':
      if (isSet(id)) throw unsupported(`${where}.file_id`, 'no file is stored: send the image as "image_url"');
      if (typeof url !== 'string') throw invalid(`${where}.image_url`, 'must be a URL, which may be one of data');
      return { type: 'image_url', image_url: { url, ...(isSet(detail) && { detail }) } };
    case 'input_audio':
      return { type, input_audio: part['input_audio'] };
    case 'input_file':
      if (isSet(id) || isSet(part['file_url']))
        throw unsupported(where, 'no file is fetched or stored: send it as "file_data"');
      return { type: 'file', file: { filename: part['filename'], file_data: part['file_data'] } };
    default:
      throw unsupported(
        where,
        `parts are of type "input_text", "input_image", "input_audio" or "input_file", not ${shown(type)}`,
      );
  }
}
