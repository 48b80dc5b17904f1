import { Agent, fetch } from 'undici';
import { type AnswerStore, digest } from '../answers.ts';
import type { Answer } from './score.ts';

/** How a model is asked for records. */
export interface Asking {
  /** Of a llama-server, e.g. `http://127.0.0.1:8080`. */
  baseUrl: string;
  /** The answer is held to this JSON schema by a grammar; undefined: the model is free. */
  schema?: unknown;
  /** Where a model that does not know when to end is stopped. */
  stop?: readonly string[];
  /** Where answers are kept, so that nothing is asked twice. */
  store: AnswerStore<Answer>;
  /** Told after each prompt: how many are done, and how many of them were asked now. */
  onProgress?: (done: number, asked: number) => void;
}

/** More than any record needs, so that reaching it means that the model did not come to an end. */
const maxTokens = 96;

/** A long prompt on a busy machine may take longer than the five minutes after which fetch gives up. */
const patient = new Agent({ headersTimeout: 0, bodyTimeout: 0 });

/** The greedy answers to prompts, asked of a real engine one after the other. */
export async function askAll(prompts: readonly string[], asking: Asking): Promise<Answer[]> {
  const { schema, stop, store, onProgress } = asking;
  const answers: Answer[] = [];
  let asked = 0;
  for (const prompt of prompts) {
    const key = digest(JSON.stringify([prompt, schema, stop, maxTokens]));
    let answer = store.get(key);
    if (!answer) {
      answer = await ask(prompt, asking);
      asked++;
      await store.add(key, answer);
    }
    answers.push(answer);
    onProgress?.(answers.length, asked);
  }
  return answers;
}

/** A completion of llama-server that is not streamed; it has the log-probabilities of a chat. */
interface Completion {
  choices: {
    text: string;
    finish_reason: string;
    logprobs: { content: { token: string; logprob: number }[] } | null;
  }[];
  usage: { prompt_tokens: number; completion_tokens: number };
}

async function ask(prompt: string, { baseUrl, schema, stop }: Asking): Promise<Answer> {
  const began = performance.now();
  const response = await fetch(`${baseUrl}/v1/completions`, {
    method: 'POST',
    dispatcher: patient,
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      prompt,
      temperature: 0,
      max_tokens: maxTokens,
      logprobs: 1,
      ...(schema === undefined ? {} : { json_schema: schema }),
      ...(stop === undefined ? {} : { stop }),
    }),
  });
  if (!response.ok) throw new Error(`llama-server answers ${response.status}: ${await response.text()}`);
  const { choices, usage } = (await response.json()) as Completion;
  const [choice] = choices;
  if (!choice?.logprobs) throw new Error('llama-server told no log-probabilities');
  return {
    text: choice.text,
    tokens: choice.logprobs.content.map(({ token, logprob }) => ({ token, logprob: Math.round(logprob * 1e6) / 1e6 })),
    truncated: choice.finish_reason === 'length',
    milliseconds: performance.now() - began,
    promptTokens: usage.prompt_tokens,
    completionTokens: usage.completion_tokens,
  };
}
