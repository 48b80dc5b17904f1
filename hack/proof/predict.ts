import type { Prediction } from '../../quality/prediction.ts';
import {
  type Candidate,
  compileLabels,
  labelProbabilities,
  type SpokenLabel,
} from '../../runtime/router/confidence/label-probabilities.ts';
import { type AnswerStore, digest, inMemory } from './answers.ts';

/** A message whose label is known. */
export interface LabelledMessage {
  text: string;
  /** The name of its true label. */
  label: string;
}

/** A question for `/v1/chat/completions` or `/v1/completions`. */
export type Question = { messages: { role: 'system' | 'user' | 'assistant'; content: string }[] } | { prompt: string };

/** How an engine is asked which label a message has. */
export interface Asking {
  /** Of a llama-server, e.g. `http://127.0.0.1:8080`. */
  baseUrl: string;
  /** What is asked about a text. */
  question: (text: string) => Question;
  /** Predictions index them in this order. */
  labels: readonly SpokenLabel[];
  /** How many of the likeliest tokens are looked at; default: 400. */
  topTokens?: number;
  /** Where answers are kept, so that nothing is asked twice; default: for this call alone. */
  store?: AnswerStore<Said>;
  /** Told after each message: how many are done, and how many of them were asked now. */
  onProgress?: (done: number, asked: number) => void;
}

/** What an engine said where the label is to stand. */
export interface Said {
  /** The likeliest tokens, with their natural logarithms of probability. */
  candidates: Candidate[];
  /** The token that it chose. */
  chosen: Candidate;
  /** From sending the request to the whole answer. */
  milliseconds: number;
  promptTokens: number;
  /** Those of them that the engine still knew from the request before. */
  cachedTokens: number;
  completionTokens: number;
}

/** A prediction with what it took. `truth` and `probabilities` are by index of the labels. */
export interface ServedPrediction extends Prediction {
  probabilities: Float64Array;
  /** The share of the model's own probability that stood for any label; 0: it named none, and nothing is known. */
  mass: number;
  milliseconds: number;
  promptTokens: number;
  cachedTokens: number;
  completionTokens: number;
}

/**
 * The probability of each label for each message, asked of a real engine one after the other and scored as the router does
 * it, without a temperature.
 *
 * @throws Error where the engine refuses a request or a message's label isn't among the labels.
 */
export async function predict(messages: readonly LabelledMessage[], asking: Asking): Promise<ServedPrediction[]> {
  const { labels, topTokens = 400, store = inMemory<Said>(), onProgress } = asking;
  const compiled = compileLabels(labels);
  const indices = new Map(labels.map(({ name }, index) => [name, index]));
  const predictions: ServedPrediction[] = [];
  let asked = 0;
  for (const { text, label } of messages) {
    const truth = indices.get(label);
    if (truth === undefined) throw new Error(`the label ${label} of "${text}" is not one of ${indices.size} labels`);
    const question = asking.question(text);
    const key = digest(JSON.stringify([topTokens, question]));
    let said = store.get(key);
    if (said === undefined) {
      said = await ask(asking.baseUrl, question, topTokens);
      asked++;
      await store.add(key, said);
    }
    const { candidates, chosen, ...cost } = said;
    predictions.push({ truth, ...labelProbabilities(candidates, compiled, chosen), ...cost });
    onProgress?.(predictions.length, asked);
  }
  return predictions;
}

interface Answer {
  choices: { logprobs: { content: { token: string; logprob: number; top_logprobs: Candidate[] }[] } | null }[];
  usage: { prompt_tokens: number; completion_tokens: number; prompt_tokens_details?: { cached_tokens?: number } };
}

/** Asks for one token and the likeliest ones in its place. */
export async function ask(baseUrl: string, question: Question, topTokens: number): Promise<Said> {
  const chat = 'messages' in question;
  const began = performance.now();
  const response = await fetch(`${baseUrl}/v1/${chat ? 'chat/completions' : 'completions'}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      ...question,
      max_tokens: 1,
      temperature: 0,
      // llama-server gives completions the log-probabilities of chats.
      ...(chat ? { logprobs: true, top_logprobs: topTokens } : { logprobs: topTokens }),
    }),
  });
  if (!response.ok) throw new Error(`llama-server answers ${response.status}: ${await response.text()}`);
  const { choices, usage } = (await response.json()) as Answer;
  const milliseconds = performance.now() - began;
  const position = choices[0]?.logprobs?.content[0];
  if (position === undefined) throw new Error('llama-server told no log-probabilities');
  return {
    candidates: position.top_logprobs.map(compact),
    chosen: compact(position),
    milliseconds,
    promptTokens: usage.prompt_tokens,
    cachedTokens: usage.prompt_tokens_details?.cached_tokens ?? 0,
    completionTokens: usage.completion_tokens,
  };
}

/** Six decimals of a logarithm: a millionth of a probability, and a third of the room. */
function compact({ token, logprob }: Candidate): Candidate {
  return { token, logprob: Math.round(logprob * 1e6) / 1e6 };
}
