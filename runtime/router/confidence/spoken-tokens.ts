import { isObject, type JsonObject } from '../answers/document.ts';
import type { SpokenToken } from './json-fields.ts';

/** A token of an answer, with its bytes where they are not those of its text: half a character. */
export interface AnswerToken extends SpokenToken {
  bytes: readonly number[] | undefined;
}

/**
 * The tokens of a choice, or of a streamed piece of one, by its log-probabilities; undefined where it has none. Reads
 * OpenAI's shape for chats, which llama-server uses for completions too, and the older one for completions. A token whose
 * log-probability is malformed stays, without one: left out, it would look as if it had been certain.
 */
export function spokenTokens({ logprobs }: JsonObject): AnswerToken[] | undefined {
  if (!isObject(logprobs)) return undefined;
  const { content, tokens, token_logprobs: own } = logprobs;
  if (Array.isArray(content)) return content.map(spoken);
  if (!Array.isArray(tokens)) return undefined;
  return tokens.map((token: unknown, at): AnswerToken => {
    const logprob: unknown = Array.isArray(own) ? own[at] : undefined;
    return { token: typeof token === 'string' ? token : '', logprob: finite(logprob), bytes: undefined };
  });
}

function spoken(entry: unknown): AnswerToken {
  if (!isObject(entry)) return { token: '', logprob: undefined, bytes: undefined };
  const { token, logprob, bytes } = entry;
  return {
    token: typeof token === 'string' ? token : '',
    logprob: finite(logprob),
    bytes: Array.isArray(bytes) ? bytes.filter((byte) => typeof byte === 'number') : undefined,
  };
}

function finite(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isFinite(value) ? Math.min(0, value) : undefined;
}

/**
 * Of an answer's tokens those that its text is made of: models that think say other tokens first. Undefined where the text
 * is not the end of what the tokens say, so that they tell nothing of it.
 */
export function tokensOf(text: string, tokens: readonly AnswerToken[]): readonly AnswerToken[] | undefined {
  const wanted = Buffer.from(text.trimEnd());
  const pieces = tokens.map(({ token, bytes }) => (bytes ? Buffer.from(bytes) : Buffer.from(token)));
  const said = Buffer.concat(pieces);
  const end = said.lastIndexOf(wanted);
  if (
    end < 0 ||
    said
      .subarray(end + wanted.length)
      .toString()
      .trim() !== ''
  )
    return undefined;
  let at = 0;
  let first = 0;
  while (first < pieces.length && at + (pieces[first] as Buffer).length <= end)
    at += (pieces[first++] as Buffer).length;
  return tokens.slice(first);
}
