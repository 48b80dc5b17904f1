import { isObject } from '../answers/document.ts';
import type { RequestBody } from '../operations.ts';

/** Of text in UTF-8, about what tokenizers make one token of in English; other languages have up to twice the tokens. */
const bytesPerToken = 4;
/** Nobody answers with more, whatever a client asks for. */
const mostTokens = 10_000_000;
/** As many answers to one request as OpenAI gives. */
const mostAnswers = 128;

/**
 * The prompt's tokens before any tokenizer has seen it: a quarter of the bytes of its texts (`messages`, `prompt`, `input`),
 * rounded up, and prompts of tokens as they are. Images, sounds and tools count for nothing.
 */
export function promptTokens({ messages, prompt, input }: RequestBody): number {
  return Math.ceil(sizeOf(messages) + sizeOf(prompt) + sizeOf(input));
}

/** The tokens that a request may cost as far as it says so itself: those of its prompt, and of the longest answers that it allows. */
export function foreseenTokens(body: RequestBody): number {
  const longest = positive(body['max_completion_tokens']) ?? positive(body['max_tokens']) ?? 0;
  const answers = Math.min(positive(body['n']) ?? 1, mostAnswers);
  return promptTokens(body) + Math.min(longest, mostTokens) * answers;
}

/** In tokens. Messages have their text in `content`, parts of one in `text`. */
function sizeOf(value: unknown): number {
  if (typeof value === 'string') return Buffer.byteLength(value) / bytesPerToken;
  if (typeof value === 'number') return 1;
  if (Array.isArray(value)) {
    let sum = 0;
    for (const each of value) sum += Array.isArray(each) ? sizeOfTokens(each) : sizeOf(each);
    return sum;
  }
  return isObject(value) ? sizeOfText(value['content']) + sizeOfText(value['text']) : 0;
}

/** One of several prompts that are given as tokens. */
function sizeOfTokens(tokens: readonly unknown[]): number {
  return tokens.length;
}

/** The content of a message: a text, or parts of which some are texts. Deeper there is no text. */
function sizeOfText(content: unknown): number {
  if (typeof content === 'string') return Buffer.byteLength(content) / bytesPerToken;
  if (!Array.isArray(content)) return 0;
  let sum = 0;
  for (const part of content)
    if (isObject(part) && typeof part['text'] === 'string') sum += Buffer.byteLength(part['text']) / bytesPerToken;
  return sum;
}

function positive(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isFinite(value) && value > 0 ? Math.ceil(value) : undefined;
}
