import { isObject, type JsonObject, parseObject } from '../../answers/document.ts';
import { ApiError } from '../../errors.ts';
import { NotTranslatable } from '../not-translatable.ts';

/** The `messages` and the `system` prompt of a request to Anthropic. */
export interface Conversation {
  system?: string | JsonObject[];
  messages: JsonObject[];
}

/**
 * OpenAI's messages as Anthropic's: what the system and the developer say is collected at the top, in their order; results
 * of tools become blocks of one message of the user. Throws `NotTranslatable`, or an `ApiError` for what is no message.
 */
export function conversation(messages: unknown): Conversation {
  if (!Array.isArray(messages)) throw invalid('messages', 'must be a list of messages');
  const system: JsonObject[] = [];
  const turns: JsonObject[] = [];
  let results: JsonObject[] | undefined;
  for (const [at, message] of (messages as unknown[]).entries()) {
    const field = `messages[${at}]`;
    if (!isObject(message)) throw invalid(field, 'must be an object');
    const { role, content } = message;
    if (role === 'tool') {
      const result = toolResult(message, field);
      if (results) results.push(result);
      else turns.push({ role: 'user', content: (results = [result]) });
      continue;
    }
    results = undefined;
    if (role === 'system' || role === 'developer') system.push(...texts(content, field));
    else if (role === 'user') turns.push({ role, content: userContent(content, field) });
    else if (role === 'assistant') {
      const blocks = assistantBlocks(message, field);
      if (blocks.length > 0) turns.push({ role, content: blocks });
    } else if (role === 'function')
      throw new NotTranslatable(
        `${field}.role`,
        'the role "function" is not translated: use "tools" and the role "tool"',
      );
    else throw invalid(`${field}.role`, 'must be one of system, developer, user, assistant and tool');
  }
  return { ...(system.length > 0 && { system: joined(system) }), messages: turns };
}

/** One text, as Anthropic's own layer for OpenAI's clients makes it, unless a part of it asks to be cached. */
function joined(blocks: JsonObject[]): string | JsonObject[] {
  if (blocks.some(({ cache_control: cache }) => cache !== undefined)) return blocks;
  return blocks.map(({ text }) => text).join('\n');
}

function userContent(content: unknown, field: string): string | JsonObject[] {
  if (typeof content === 'string') return content;
  if (!Array.isArray(content)) throw invalid(`${field}.content`, 'must be a text or a list of parts');
  return content.map((part: unknown, at) => blockOf(part, `${field}.content[${at}]`));
}

function assistantBlocks({ content, refusal, tool_calls: calls }: JsonObject, field: string): JsonObject[] {
  const said = content ?? refusal ?? [];
  // Anthropic refuses a text that is empty, which a message with nothing but calls may have.
  const blocks = texts(said, field).filter(({ text }) => text !== '');
  if (calls === undefined || calls === null) return blocks;
  if (!Array.isArray(calls)) throw invalid(`${field}.tool_calls`, 'must be a list');
  for (const [at, call] of (calls as unknown[]).entries()) blocks.push(toolUse(call, `${field}.tool_calls[${at}]`));
  return blocks;
}

function toolUse(call: unknown, field: string): JsonObject {
  const named = isObject(call) ? call['function'] : undefined;
  if (!isObject(call) || !isObject(named)) throw invalid(field, 'must be the call of a function');
  const { arguments: given } = named;
  const input = given === undefined || given === '' ? {} : typeof given === 'string' ? parseObject(given) : undefined;
  if (!input) throw invalid(`${field}.function.arguments`, 'must be a JSON object, as text');
  return { type: 'tool_use', id: call['id'], name: named['name'], input };
}

function toolResult({ tool_call_id: id, content }: JsonObject, field: string): JsonObject {
  if (typeof id !== 'string') throw invalid(`${field}.tool_call_id`, 'must be the id of a call');
  return { type: 'tool_result', tool_use_id: id, content: userContent(content, field) };
}

/** The blocks of what may be text only. */
function texts(content: unknown, field: string): JsonObject[] {
  if (typeof content === 'string') return [{ type: 'text', text: content }];
  if (!Array.isArray(content)) throw invalid(`${field}.content`, 'must be a text or a list of parts');
  return content.map((part: unknown, at) => {
    const { type, refusal } = isObject(part) ? part : {};
    if (type === 'refusal') return { type: 'text', text: refusal };
    if (type !== 'text') throw invalid(`${field}.content[${at}]`, 'must be a text');
    return blockOf(part, `${field}.content[${at}]`);
  });
}

function blockOf(part: unknown, field: string): JsonObject {
  if (!isObject(part)) throw invalid(field, 'must be an object');
  const { type, text, image_url: image, cache_control: cache } = part;
  const cached = cache === undefined || cache === null ? {} : { cache_control: cache };
  if (type === 'text') return { type, text, ...cached };
  if (type === 'image_url') return { type: 'image', source: imageSource(image, field), ...cached };
  throw new NotTranslatable(field, `a part of type ${JSON.stringify(type)} is not translated: send text and images`);
}

/** `data:image/png;base64,…` (RFC 2397). */
const dataUrl = /^data:([a-z]+\/[a-z0-9.+-]+);base64,/i;

function imageSource(image: unknown, field: string): JsonObject {
  const url = isObject(image) ? image['url'] : image;
  if (typeof url !== 'string') throw invalid(`${field}.image_url`, 'must have a url');
  const found = dataUrl.exec(url);
  if (found) return { type: 'base64', media_type: found[1]?.toLowerCase(), data: url.slice(found[0].length) };
  if (url.startsWith('https://')) return { type: 'url', url };
  throw new NotTranslatable(`${field}.image_url`, 'an image must be an https URL, or a data URL in base64');
}

function invalid(param: string, what: string): ApiError {
  return new ApiError(400, 'invalid_type', `"${param}" ${what}`, { param });
}
