import type { Token } from '../core/answer.ts';
import type { Generation } from '../core/ask.ts';
import type { Choice, Usage, Wording } from '../core/generate.ts';
import { bytesOf, tokenId } from '../core/text.ts';

/** llama-server's chat completions and completions: the same logprobs for both, the reason in a chunk of its own. */
export function llamaWording(generation: Generation, model: string, id: string): Wording {
  const chat = generation.api === 'chat';
  const created = Math.floor(Date.now() / 1000);
  const tail = { created, model, system_fingerprint: 'b11669-Debian', id };
  const object = chat ? 'chat.completion' : 'text_completion';
  const chunkObject = chat ? 'chat.completion.chunk' : 'text_completion';
  const told = generation.afterSampling === true ? tokenProbs : tokenLogprobs;
  const logprobs = (tokens: Token[]) =>
    generation.logprobs === undefined
      ? undefined
      : { content: tokens.map((token) => told(token, generation.logprobs ?? 0)) };
  const chunk = (choice: object, more: object = {}) => ({ choices: [choice], ...tail, object: chunkObject, ...more });
  return {
    whole(choices: Choice[], usage: Usage) {
      return {
        choices: choices.map(({ index, tokens, finish }) => {
          const text = tokens.map((token) => token.text).join('');
          if (!chat) return { text, index, logprobs: logprobs(tokens) ?? null, finish_reason: finish };
          const asked = logprobs(tokens);
          return {
            finish_reason: finish,
            index,
            message: { role: 'assistant', content: text },
            ...(asked ? { logprobs: asked } : {}),
          };
        }),
        ...tail,
        object,
        usage: usageOf(usage),
        timings: timingsOf(usage),
      };
    },
    first: (index) =>
      chat ? chunk({ finish_reason: null, index, delta: { role: 'assistant', content: null } }) : undefined,
    token(index, token) {
      const asked = logprobs([token]);
      if (!chat) return chunk({ text: token.text, index, logprobs: asked ?? null, finish_reason: null });
      return chunk({
        finish_reason: null,
        index,
        delta: { content: token.text },
        ...(asked ? { logprobs: asked } : {}),
      });
    },
    finish(index, reason, usage, last) {
      // A completion's usage is in the chunk of its reason, a chat's in a chunk without choices, or not at all.
      const withUsage = generation.includeUsage && !chat ? { usage: usageOf(usage) } : {};
      const timings = last && (!generation.includeUsage || !chat) ? { timings: timingsOf(usage) } : {};
      const choice = chat
        ? { finish_reason: reason, index, delta: {} }
        : { text: '', index, logprobs: null, finish_reason: reason };
      return chunk(choice, { ...withUsage, ...timings });
    },
    usage: (usage) =>
      chat
        ? { choices: [], ...tail, object: chunkObject, usage: usageOf(usage), timings: timingsOf(usage) }
        : undefined,
  };
}

/** Of the whole vocabulary, before grammar and temperature: llama.cpp's are never limited to what was allowed. */
function tokenLogprobs(token: Token, top: number): object {
  const entry = ({ text, logprob }: { text: string; logprob: number }) => ({
    id: tokenId(text),
    token: text,
    bytes: bytesOf(text),
    logprob,
  });
  return { ...entry(token), top_logprobs: token.alternatives.slice(0, top).map(entry) };
}

/** After sampling at temperature 1: of what a bias has raised, and next to nothing of the others. */
function tokenProbs(token: Token, top: number): object {
  const raised = token.alternatives.filter(({ allowed }) => allowed);
  const sum = raised.reduce((total, { logprob }) => total + Math.exp(logprob), 0);
  const entry = (text: string, prob: number) => ({ id: tokenId(text), token: text, bytes: bytesOf(text), prob });
  const probs = token.alternatives.map(({ text, logprob, allowed }) =>
    entry(text, (Math.exp(logprob) / sum) * (allowed ? 1 : 1e-40)),
  );
  const ranked = probs.toSorted((a, b) => b.prob - a.prob);
  return {
    ...(probs.find((one) => one.token === token.text) ?? entry(token.text, 1)),
    top_probs: ranked.slice(0, top),
  };
}

function usageOf({ completionTokens, promptTokens, cachedTokens }: Usage): object {
  return {
    completion_tokens: completionTokens,
    prompt_tokens: promptTokens,
    total_tokens: promptTokens + completionTokens,
    prompt_tokens_details: { cached_tokens: cachedTokens },
  };
}

function timingsOf({ completionTokens, promptTokens, cachedTokens }: Usage): object {
  return { cache_n: cachedTokens, prompt_n: promptTokens - cachedTokens, predicted_n: completionTokens };
}
