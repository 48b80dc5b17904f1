import { isObject } from '../answers/document.ts';
import type { RequestBody } from '../operations.ts';
import type { LiveRule } from '../routes/table.ts';
import type { Exchange } from './exchange.ts';
import { promptTokens as tokensOf } from './prompt-size.ts';

type Asked = Pick<Exchange, 'body' | 'request'>;
type When = LiveRule['when'];

/** The first rule all of whose conditions hold. */
export function firstMatch(rules: readonly LiveRule[], asked: Asked): LiveRule | undefined {
  return rules.find(({ when }) => holds(when, asked));
}

/** Cheap conditions come first: the prompt is looked through only where the others hold. */
function holds(when: When, { body, request }: Asked): boolean {
  const { headers, metadata, tools, responseFormat, images, promptTokens } = when;
  if (headers?.some(({ name, value }) => !hasHeader(request.headers[name], value))) return false;
  if (metadata?.some(({ key, value }) => !isObject(body['metadata']) || body['metadata'][key] !== value)) return false;
  if (tools !== undefined && tools !== offersTools(body)) return false;
  if (responseFormat !== undefined && responseFormat !== formatOf(body)) return false;
  if (images !== undefined && images !== hasImage(body)) return false;
  return promptTokens === undefined || isWithin(promptTokens, tokensOf(body));
}

function hasHeader(found: string | string[] | undefined, value: string | undefined): boolean {
  return found !== undefined && (value === undefined || found === value);
}

function offersTools({ tools, functions }: RequestBody): boolean {
  return [tools, functions].some((offered) => Array.isArray(offered) && offered.length > 0);
}

function formatOf({ response_format: format }: RequestBody): NonNullable<When['responseFormat']> {
  const type = isObject(format) ? format['type'] : undefined;
  if (type === 'json_schema') return 'JSONSchema';
  return type === 'json_object' ? 'JSONObject' : 'Text';
}

function hasImage({ messages }: RequestBody): boolean {
  return partsOf(messages).some((part) => isObject(part) && part['type'] === 'image_url');
}

function isWithin(
  { min = 0, max = Number.POSITIVE_INFINITY }: NonNullable<When['promptTokens']>,
  tokens: number,
): boolean {
  return tokens >= min && tokens <= max;
}

function partsOf(messages: unknown): unknown[] {
  if (!Array.isArray(messages)) return [];
  return messages.flatMap((message: unknown) => (isObject(message) ? listOf(message['content']) : []));
}

function listOf(value: unknown): unknown[] {
  if (Array.isArray(value)) return value;
  return value === undefined || value === null ? [] : [value];
}
