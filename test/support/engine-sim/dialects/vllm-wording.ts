import type { Token } from '../core/answer.ts';
import type { Generation } from '../core/ask.ts';
import type { Choice, Usage, Wording } from '../core/generate.ts';
import { bytesOf } from '../core/text.ts';

/** vLLM's chat completions and completions: OpenAI's two shapes of logprobs, the reason on the last token's chunk. */
export function vllmWording(generation: Generation, model: string, id: string): Wording {
  const chat = generation.api === 'chat';
  const constrained = generation.constraint !== undefined;
  const created = Math.floor(Date.now() / 1000);
  const object = chat ? 'chat.completion' : 'text_completion';
  const chunkObject = chat ? 'chat.completion.chunk' : 'text_completion';
  const head = (name: string) => ({ id, object: name, created, model });
  const logprobs = (tokens: Token[], offset = 0): object | null => {
    if (generation.logprobs === undefined) return null;
    const seen = tokens.map((token) => (constrained ? renormalised(token) : token));
    return chat ? chatLogprobs(seen, generation.logprobs) : legacyLogprobs(seen, generation.logprobs, offset);
  };
  const offsets = new Map<number, number>();
  const produced = { promptTokens: 0, completionTokens: 0, cachedTokens: 0 };
  return {
    whole(choices: Choice[], usage: Usage) {
      return {
        ...head(object),
        choices: choices.map(({ index, tokens, finish }) => {
          const text = tokens.map((token) => token.text).join('');
          const common = { logprobs: logprobs(tokens), finish_reason: finish, stop_reason: null, token_ids: null };
          return chat
            ? { index, message: { role: 'assistant', content: text, ...emptyMessage }, ...common }
            : { index, text, ...common, prompt_logprobs: null };
        }),
        system_fingerprint: 'vllm-0.32.0-simulated',
        usage: usageOf(usage),
      };
    },
    first: (index) =>
      chat
        ? {
            ...head(chunkObject),
            choices: [{ index, delta: { role: 'assistant', content: '' }, logprobs: null, finish_reason: null }],
          }
        : undefined,
    token(index, token, finish) {
      const offset = offsets.get(index) ?? 0;
      offsets.set(index, offset + token.text.length);
      produced.completionTokens++;
      const common = { logprobs: logprobs([token], offset), finish_reason: finish ?? null, token_ids: null };
      const stop = finish === undefined ? {} : { stop_reason: null };
      return {
        ...head(chunkObject),
        choices: [
          chat
            ? { index, delta: { content: token.text }, ...common, ...stop }
            : { index, text: token.text, ...common, ...stop },
        ],
        ...(generation.continuousUsage ? { usage: usageOf(produced) } : {}),
      };
    },
    finish: (index, reason) =>
      reason === 'abort'
        ? {
            ...head(chunkObject),
            choices: [
              { index, ...(chat ? { delta: { content: '' } } : { text: '' }), logprobs: null, finish_reason: reason },
            ],
          }
        : undefined,
    usage: (usage) => ({ ...head(chunkObject), choices: [], usage: usageOf(usage) }),
  };
}

const emptyMessage = { refusal: null, annotations: null, audio: null, function_call: null, reasoning: null };

/** Over the allowed tokens only; what fills the list up beyond them has -9999. */
function renormalised(token: Token): Token {
  const allowed = token.alternatives.filter((one) => one.allowed);
  const mass = Math.log(allowed.reduce((sum, { logprob }) => sum + Math.exp(logprob), 0));
  const alternatives = [
    ...allowed.map(({ text, logprob }) => ({ text, logprob: logprob - mass, allowed: true })),
    ...token.alternatives.filter((one) => !one.allowed).map(({ text }) => ({ text, logprob: -9999, allowed: false })),
  ];
  const own = alternatives.find(({ text }) => text === token.text)?.logprob ?? 0;
  return { text: token.text, logprob: own, alternatives };
}

function chatLogprobs(tokens: Token[], top: number): object {
  const entry = ({ text, logprob }: { text: string; logprob: number }) => ({
    token: text,
    logprob,
    bytes: bytesOf(text),
  });
  return {
    content: tokens.map((token) => ({ ...entry(token), top_logprobs: token.alternatives.slice(0, top).map(entry) })),
  };
}

function legacyLogprobs(tokens: Token[], top: number, from: number): object {
  let at = from;
  const offsets = tokens.map((token) => {
    const offset = at;
    at += token.text.length;
    return offset;
  });
  return {
    text_offset: offsets,
    token_logprobs: tokens.map(({ logprob }) => logprob),
    tokens: tokens.map(({ text }) => text),
    top_logprobs: tokens.map((token) =>
      Object.fromEntries([...token.alternatives.slice(0, top), token].map(({ text, logprob }) => [text, logprob])),
    ),
  };
}

function usageOf({ promptTokens, completionTokens }: Usage): object {
  return {
    prompt_tokens: promptTokens,
    total_tokens: promptTokens + completionTokens,
    completion_tokens: completionTokens,
    prompt_tokens_details: null,
  };
}
