import { event, events } from './engine.ts';

const usage = {
  prompt_tokens: 12,
  completion_tokens: 3,
  total_tokens: 15,
  prompt_tokens_details: { cached_tokens: 4 },
};

/** A vLLM answer to a chat, as measured on version 0.32. */
export function vllmChat(content: string, finish = 'stop') {
  return {
    id: 'chatcmpl-1',
    object: 'chat.completion',
    created: 1_760_000_000,
    model: 'served',
    choices: [
      {
        index: 0,
        message: { role: 'assistant', content, refusal: null },
        logprobs: null,
        finish_reason: finish,
        stop_reason: null,
      },
    ],
    usage: { ...usage, prompt_tokens_details: null },
  };
}

/** An event of a chat's stream. */
export function chatChunk(delta: object, finish: string | null = null) {
  return {
    id: 'chatcmpl-1',
    object: 'chat.completion.chunk',
    created: 1_760_000_000,
    model: 'served',
    choices: [{ index: 0, delta, logprobs: null, finish_reason: finish }],
  };
}

export const usageChunk = { ...chatChunk({}), choices: [], usage };

/** vLLM's stream of a chat, the finish reason on the last piece. */
export function vllmStream(pieces: readonly string[]): string {
  return events(
    chatChunk({ role: 'assistant', content: '' }),
    ...pieces.map((content, i) => chatChunk({ content }, i === pieces.length - 1 ? 'stop' : null)),
    usageChunk,
  );
}

/** llama-server's stream of a chat, as measured on build 11669: `choices` first, a finish event of its own. */
export function llamaStream(pieces: readonly string[], finish = 'stop'): string {
  return events(...llamaChunks(pieces, finish));
}

/** llama-server's stream as it breaks off: no finish, no `[DONE]`. */
export function llamaCut(pieces: readonly string[]): string {
  return llamaChunks(pieces, 'stop').slice(0, -2).map(event).join('');
}

function llamaChunks(pieces: readonly string[], finish: string) {
  const chunk = (delta: object, finish_reason: string | null) => ({
    choices: [{ finish_reason, index: 0, delta }],
    created: 1_760_000_000,
    id: 'chatcmpl-2',
    model: 'served',
    system_fingerprint: 'b11669-Debian',
    object: 'chat.completion.chunk',
  });
  return [
    chunk({ role: 'assistant', content: null }, null),
    ...pieces.map((content) => chunk({ content }, null)),
    chunk({}, finish),
    { ...chunk({}, null), choices: [], usage, timings: { cache_n: 0, prompt_n: 12, predicted_n: 3 } },
  ];
}

/** llama-server's stream of a completion. */
export function llamaText(pieces: readonly string[]): string {
  const chunk = (text: string, finish_reason: string | null) => ({
    choices: [{ text, index: 0, logprobs: null, finish_reason }],
    created: 1_760_000_000,
    model: 'served',
    object: 'text_completion',
    id: 'chatcmpl-3',
  });
  return events(...pieces.map((text) => chunk(text, null)), chunk('', 'stop'), {
    ...chunk('', null),
    choices: [],
    usage,
  });
}

/** Probabilities of tokens at one position, the one that was said first. */
export type Position = Readonly<Record<string, number>>;

/** llama-server's stream of a chat whose tokens' probabilities were asked for after sampling. */
export function llamaScored(...positions: readonly Position[]): string {
  const [opening, ...rest] = llamaChunks(
    positions.map((position) => Object.keys(position)[0] ?? ''),
    'length',
  );
  const scored = rest.map((chunk, at) => {
    const position = positions[at];
    if (!position) return chunk;
    const entries = Object.entries(position).map(([token, prob], id) => ({
      id,
      token,
      bytes: [...Buffer.from(token)],
      prob,
    }));
    const content = [Object.assign({ top_probs: entries.toSorted((a, b) => b.prob - a.prob) }, entries[0])];
    return Object.assign({}, chunk, { choices: chunk.choices.map((choice) => ({ ...choice, logprobs: { content } })) });
  });
  return events(opening, ...scored);
}

/** A chat's answer in one piece with log-probabilities, as vLLM and OpenAI give it. */
export function scoredChat(content: string, ...positions: readonly Position[]) {
  const answer = vllmChat(content);
  const [choice] = answer.choices;
  const logprobs = {
    content: positions.map((position) => {
      const entries = Object.entries(position).map(([token, p]) => ({ token, logprob: Math.log(p), bytes: null }));
      return Object.assign({ top_logprobs: entries.toSorted((a, b) => b.logprob - a.logprob) }, entries[0]);
    }),
  };
  return { ...answer, choices: [{ ...choice, logprobs }] };
}

/** vLLM's answer of a classification head, as measured on version 0.32. */
export function classified(label: string, ...probs: readonly number[]) {
  return {
    id: 'classify-1',
    object: 'list',
    created: 1_760_000_000,
    model: 'served',
    data: [{ index: 0, label, probs, num_classes: probs.length }],
    usage: { prompt_tokens: 12, total_tokens: 12, completion_tokens: 0, prompt_tokens_details: null },
  };
}
