import { Agent, fetch } from 'undici';
import type { ModelBackend } from '../../crds/route-table.ts';
import type { Prediction } from '../../quality/prediction.ts';
import { estimateOf } from '../../runtime/router/confidence/estimate.ts';
import { type SpokenLabel, spreadShared } from '../../runtime/router/confidence/label-probabilities.ts';
import { type LabelSet, labelSet } from '../../runtime/router/confidence/label-set.ts';
import { type Position, readPositions } from '../../runtime/router/confidence/positions.ts';
import { chatCompletions, completions } from '../../runtime/router/operations.ts';
import { llamaCpp } from '../../runtime/router/providers/llama-cpp.ts';
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
  /** Where answers are kept, so that nothing is asked twice; default: for this call alone. */
  store?: AnswerStore<Said>;
  /** Told after each message: how many are done, and how many of them were asked now. */
  onProgress?: (done: number, asked: number) => void;
}

/** What an engine said where the label is to stand. */
export interface Said extends Took {
  positions: Position[];
}

/** What an answer took. */
export interface Took {
  /** From sending the request to the whole answer. */
  milliseconds: number;
  promptTokens: number;
  /** Those of them that the engine still knew from the request before. */
  cachedTokens: number;
  completionTokens: number;
}

/** A prediction with what it took. `truth` and `probabilities` are by index of the labels. */
export interface ServedPrediction extends Prediction, Took {
  /** All 0 where the answer told nothing of any label. */
  probabilities: Float64Array;
}

/**
 * The probability of each label for each message, asked of a real llama-server one after the other, in the router's own words
 * and scored by its own code, without a temperature.
 *
 * @throws Error where the engine refuses a request or a message's label isn't among the labels.
 */
export async function predict(messages: readonly LabelledMessage[], asking: Asking): Promise<ServedPrediction[]> {
  const { baseUrl, labels, store = inMemory<Said>(), onProgress } = asking;
  const set = setOf(labels);
  const indices = new Map(labels.map(({ name }, index) => [name, index]));
  const predictions: ServedPrediction[] = [];
  let asked = 0;
  for (const { text, label } of messages) {
    const truth = indices.get(label);
    if (truth === undefined) throw new Error(`the label ${label} of "${text}" is not one of ${indices.size} labels`);
    const request = routersRequest(asking.question(text), set);
    const key = digest(`${request.path}\n${request.body}`);
    let said = store.get(key);
    if (said === undefined) {
      said = await ask(baseUrl, request);
      asked++;
      await store.add(key, said);
    }
    const { positions, ...took } = said;
    predictions.push({ truth, probabilities: probabilitiesOf(positions, set), ...took });
    onProgress?.(predictions.length, asked);
  }
  return predictions;
}

function setOf(labels: readonly SpokenLabel[]): LabelSet {
  const tokens = labels.flatMap(({ name, token }) => (token === undefined ? [] : [{ label: name, token }]));
  const set = labelSet({ labels: labels.map(({ name }) => name), tokens });
  if (set === undefined) throw new Error('there are no labels');
  return set;
}

/** The router knows more of a backend, but nothing that changes this request. */
const backend: ModelBackend = {
  name: 'proof',
  kind: 'Model',
  namespace: 'proof',
  model: 'proof',
  engine: 'LlamaCpp',
  task: 'Classification',
  servedModel: 'proof',
};

/** The request that the router makes of a client's question where the route has these labels, but for the streaming. */
function routersRequest(question: Question, { trained }: LabelSet): { path: string; body: string } {
  const raw = JSON.stringify(question);
  const { path, body } = llamaCpp.request({
    operation: 'messages' in question ? chatCompletions : completions,
    raw: Buffer.from(raw),
    body: JSON.parse(raw) as Record<string, unknown>,
    stream: false,
    backend,
    servedModel: JSON.stringify(backend.servedModel),
    labels: trained.first,
  });
  const { stream_options: _, ...whole } = JSON.parse(body.toString()) as Record<string, unknown>;
  return { path, body: JSON.stringify({ ...whole, stream: false }) };
}

interface Answer {
  choices: Record<string, unknown>[];
  usage: { prompt_tokens: number; completion_tokens: number; prompt_tokens_details?: { cached_tokens?: number } };
}

/** A long prompt on a busy machine may take longer than the five minutes after which fetch gives up. */
const patient = new Agent({ headersTimeout: 0, bodyTimeout: 0 });

async function ask(baseUrl: string, { path, body }: { path: string; body: string }): Promise<Said> {
  const began = performance.now();
  const headers = { 'content-type': 'application/json' };
  const response = await fetch(`${baseUrl}${path}`, { method: 'POST', headers, body, dispatcher: patient });
  if (!response.ok) throw new Error(`llama-server answers ${response.status}: ${await response.text()}`);
  const { choices, usage } = (await response.json()) as Answer;
  const milliseconds = performance.now() - began;
  return {
    positions: (readPositions(choices[0] ?? {}) ?? []).map(possible),
    milliseconds,
    promptTokens: usage.prompt_tokens,
    cachedTokens: usage.prompt_tokens_details?.cached_tokens ?? 0,
    completionTokens: usage.completion_tokens,
  };
}

/** Without the tokens that have no probability at all: JSON, in which answers are kept, has no infinite logarithm. */
function possible({ chosen, top }: Position): Position {
  return { chosen, top: top.filter(({ logprob }) => Number.isFinite(logprob)) };
}

function probabilitiesOf(positions: readonly Position[], { trained: { compiled } }: LabelSet): Float64Array {
  const estimate = estimateOf(positions, compiled);
  if (estimate === undefined) return new Float64Array(compiled.count);
  const probabilities = Float64Array.from(estimate.probabilities);
  spreadShared(probabilities, estimate.shared);
  return probabilities;
}
