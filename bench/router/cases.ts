import { labels } from './labels.ts';

/** What is asked, and how it is to be answered. */
export interface Case {
  name: 'plain' | 'streamed' | 'classified' | 'escalated';
  /** The request's `model`, for which the backend has an answer of its own. */
  model: string;
  streamed: boolean;
}

export const cases: readonly Case[] = [
  { name: 'plain', model: 'plain', streamed: false },
  { name: 'streamed', model: 'plain', streamed: true },
  { name: 'classified', model: 'classified', streamed: false },
  // For Cadre two requests to the backend, the first of which is not sure; for all others one.
  { name: 'escalated', model: 'escalated', streamed: false },
];

/** About 900 bytes, as an application sends them. */
export function requestBody({ model, streamed }: Case): string {
  return JSON.stringify({
    model,
    messages: [
      { role: 'system', content: 'You sort messages of customers of a bank into queues. Answer with one queue.' },
      { role: 'user', content: 'My card has not arrived and I was charged twice for the parcel. '.repeat(10) },
    ],
    temperature: 0,
    max_tokens: 8,
    logprobs: true,
    top_logprobs: 1,
    ...(streamed && { stream: true }),
  });
}

const token = {
  token: ' billing',
  logprob: -0.12,
  bytes: [32, 98],
  top_logprobs: [{ token: ' billing', logprob: -0.12 }],
};
const chunk = (delta: object, finish: string | null = null) => ({
  id: 'chatcmpl-0123456789abcdef',
  object: 'chat.completion.chunk',
  created: 1_760_000_000,
  model: 'served',
  choices: [{ index: 0, delta, logprobs: null, finish_reason: finish }],
});
const usage = { prompt_tokens: 210, total_tokens: 214, completion_tokens: 4, prompt_tokens_details: null };
const answerWith = (content: string, logprobs: object[]): string =>
  JSON.stringify({
    ...chunk({}),
    object: 'chat.completion',
    choices: [
      {
        index: 0,
        message: { role: 'assistant', content, refusal: null, function_call: null, reasoning: null },
        logprobs: { content: logprobs },
        finish_reason: 'stop',
        stop_reason: null,
      },
    ],
    usage,
  });

/** One position with the probability of each label, the first one having `probability`. */
function labelled(probability: number): string {
  const rest = (1 - probability) / (labels.length - 1);
  const top_logprobs = labels.map((name, at) => {
    return { token: name, logprob: Math.log(at === 0 ? probability : rest), bytes: [...Buffer.from(name)] };
  });
  return answerWith(labels[0] as string, [{ ...top_logprobs[0], top_logprobs }]);
}

/** What the backend answers, by the model that it is asked for. About 600 bytes where no label is asked for. */
export const answers: Readonly<Record<string, Buffer>> = {
  plain: Buffer.from(answerWith('billing', [token, token])),
  classified: Buffer.from(labelled(0.97)),
  escalated: Buffer.from(labelled(0.97)),
  unsure: Buffer.from(labelled(0.4)),
};

/** Events of a stream, the one with the usage and `[DONE]` included. */
export const eventsPerStream = 64;

/** The events but the last one, which is `[DONE]`. */
export const events: readonly string[] = [
  ...Array.from({ length: eventsPerStream - 3 }, (_, i) => chunk({ content: ` word${i}` })),
  chunk({}, 'stop'),
  { ...chunk({}), choices: [], usage },
].map((one) => `data: ${JSON.stringify(one)}\n\n`);
