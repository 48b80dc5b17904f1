import { chatChunk, usageChunk } from './answers.ts';
import { event } from './engine.ts';

/** A token and its probability; without one where the engine told none. */
export type Token = readonly [token: string, p?: number | undefined];

function logprobs(tokens: readonly Token[]): object | null {
  if (tokens.every(([, p]) => p === undefined)) return null;
  const content = tokens.map(([token, p]) => {
    const one = { token, logprob: p === undefined ? undefined : Math.log(p), bytes: [...Buffer.from(token)] };
    return { ...one, top_logprobs: [one] };
  });
  return { content };
}

/** An answer in one piece with the log-probability of each of its tokens. */
export function tokenAnswer(tokens: readonly Token[], over: object = {}) {
  const message = { role: 'assistant', content: tokens.map(([token]) => token).join('') };
  const choice = { index: 0, message, logprobs: logprobs(tokens), finish_reason: 'stop', ...over };
  return { ...chatChunk({}), object: 'chat.completion', choices: [choice], usage: usageChunk.usage };
}

/** The events of the same answer as a stream, one for each token. */
export function tokenEvents(tokens: readonly Token[]): string[] {
  const pieces = tokens.map(([token, p], at) => {
    const chunk = chatChunk({ content: token }, at === tokens.length - 1 ? 'stop' : null);
    const [choice] = chunk.choices;
    return { ...chunk, choices: [{ ...choice, logprobs: logprobs([[token, p]]) }] };
  });
  const opening = chatChunk({ role: 'assistant', content: '' });
  return [...[opening, ...pieces, usageChunk].map(event), event('[DONE]')];
}
