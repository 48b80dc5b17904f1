import { isObject, type JsonObject } from '../answers/document.ts';
import type { Candidate } from './label-probabilities.ts';

/** One position of an answer: the token that was said, and the likeliest ones. */
export interface Position {
  chosen: Candidate;
  top: readonly Candidate[];
}

/**
 * The positions of a choice, by its log-probabilities; undefined where it has none. Reads OpenAI's shape for chats (which
 * llama-server uses for completions, too, with probabilities in place of logarithms after sampling) and the older one for
 * completions. What is malformed is left out: it is no evidence.
 */
export function readPositions(choice: JsonObject): Position[] | undefined {
  const { logprobs } = choice;
  if (!isObject(logprobs)) return undefined;
  const { content, tokens } = logprobs;
  const positions = Array.isArray(content)
    ? content.map(position)
    : Array.isArray(tokens)
      ? legacy(logprobs, tokens)
      : [];
  const read = positions.filter((one) => one !== undefined);
  return read.length > 0 ? read : undefined;
}

function position(entry: unknown): Position | undefined {
  const chosen = candidate(entry);
  if (!chosen || !isObject(entry)) return undefined;
  const top = entry['top_logprobs'] ?? entry['top_probs'];
  return { chosen, top: Array.isArray(top) ? top.map(candidate).filter((one) => one !== undefined) : [] };
}

function candidate(entry: unknown): Candidate | undefined {
  if (!isObject(entry)) return undefined;
  const { token, logprob, prob } = entry;
  if (typeof token !== 'string') return undefined;
  if (typeof logprob === 'number') return { token, logprob };
  return typeof prob === 'number' ? { token, logprob: Math.log(prob) } : undefined;
}

function legacy({ token_logprobs: own, top_logprobs: tops }: JsonObject, tokens: unknown[]): (Position | undefined)[] {
  return tokens.map((token, at) => {
    const logprob: unknown = Array.isArray(own) ? own[at] : undefined;
    if (typeof token !== 'string' || typeof logprob !== 'number') return undefined;
    const top: unknown = Array.isArray(tops) ? tops[at] : undefined;
    const candidates = isObject(top)
      ? Object.entries(top).map(([name, value]) => ({ token: name, logprob: value }))
      : [];
    return {
      chosen: { token, logprob },
      top: candidates.filter((one): one is Candidate => typeof one.logprob === 'number'),
    };
  });
}
