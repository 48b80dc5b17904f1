import type { TokenUsage } from '../answers/document.ts';
import { addUsage } from '../answers/usage.ts';
import { ApiError } from '../errors.ts';
import { chatCompletions, type RequestBody } from '../operations.ts';
import { isClassifier } from '../providers/classifier.ts';
import { clientGone } from '../providers/failure.ts';
import type { LiveBackend, LiveRoute } from '../routes/table.ts';
import { Batch, type TakenText } from './batch.ts';
import { outcomeOf } from './cost.ts';
import { type Exchange, type RouterContext, type Stage, set } from './exchange.ts';
import { sendDocument } from './reply.ts';

/** As many as OpenAI takes inputs for embeddings. */
const mostTexts = 2048;

/**
 * `POST /v1/classify`: each text takes its way through `answer` by itself, so that each is judged, escalated and asked for
 * again by itself, and the answer is one. A text that nobody classifies fails the request: there is no half an answer.
 */
export async function classifyTexts(exchange: Exchange, context: RouterContext, answer: Stage): Promise<void> {
  const texts = textsOf(exchange.body);
  const candidates = labellers(exchange);
  const batch = new Batch();
  const parts = texts.map((value) => partOf(exchange, candidates, value, batch));
  exchange.call = {
    fail(failure) {
      for (const part of parts) {
        part.gone = true;
        part.call?.fail(failure);
      }
    },
  };
  const failures: unknown[] = [];
  await Promise.all(
    parts.map(async (part) => {
      try {
        await answer(part, context);
      } catch (error) {
        failures.push(error);
        for (const other of parts) other.gone = true; // what is not under way yet need not be
      }
    }),
  );
  exchange.call = undefined;
  gatherAttempts(exchange, parts, batch);
  if (failures.length > 0) throw failures[0];
  if (exchange.gone) return;
  gatherAnswers(exchange, parts);
  const taken = parts.map(({ text }) => set(text?.taken, 'answer'));
  const first = taken[0] as TakenText;
  const failure = sendDocument(exchange, first.attempt, documentOf(exchange, taken), context);
  if (failure) throw failure.error;
}

/** The texts of a request. Throws an `ApiError` (400). */
function textsOf({ input, stream }: RequestBody): readonly string[] {
  if (stream === true)
    throw new ApiError(400, 'unsupported_parameter', 'labels are not streamed: leave "stream" out', {
      param: 'stream',
    });
  const texts: unknown[] = Array.isArray(input) ? input : [input];
  if (texts.length === 0 || texts.length > mostTexts || !texts.every((text) => typeof text === 'string'))
    throw new ApiError(400, 'invalid_type', `"input" must be a text, or a list of 1 to ${mostTexts} texts`, {
      param: 'input',
    });
  return texts;
}

/** Whom a text can be given to: everyone where the policy has labels, else models that have their own. */
function labellers({ route, candidates, model }: Exchange): readonly LiveBackend[] {
  const { labels } = set(route, 'route');
  const able = labels ? candidates : candidates.filter(({ speaking }) => speaking && isClassifier(speaking.backend));
  if (able.length > 0 || candidates.length === 0) return able;
  throw noLabels(model);
}

/** 400 for a model that has no labels to answer with. */
export function noLabels(model: string): ApiError {
  const cure =
    'its policy needs output.labels, or a backend with a classification head; for text call /v1/chat/completions';
  return new ApiError(400, 'unsupported_operation', `model "${model}" does not classify: ${cure}`, { param: 'model' });
}

/** Whether any of a route's backends could answer with a label. */
export function classifies({ labels, backends }: LiveRoute): boolean {
  return labels !== undefined || backends.some(({ speaking }) => speaking && isClassifier(speaking.backend));
}

/** An exchange of its own about one text: a chat, which is written when somebody is asked who takes chats. */
function partOf(exchange: Exchange, candidates: readonly LiveBackend[], value: string, batch: Batch): Exchange {
  return {
    ...exchange,
    operation: chatCompletions,
    stream: false,
    candidates,
    attempts: [],
    call: undefined,
    text: { value, batch, taken: undefined },
  };
}

/**
 * The chat that asks a model about a text. One that was trained for its labels gets the text alone, any other is told what
 * to do with it: by the client's `instructions`, else by ours.
 */
export function phrase(exchange: Exchange, { backend }: LiveBackend): void {
  const { text, body, route } = exchange;
  if (!text) return;
  const { input: _, instructions, messages: __, ...rest } = body;
  if (instructions !== undefined && instructions !== null && typeof instructions !== 'string')
    throw new ApiError(400, 'invalid_type', '"instructions" must be a text', { param: 'instructions' });
  const isTrained = backend.kind === 'Model' && backend.task === 'Classification';
  const told = instructions ?? (isTrained ? undefined : route?.labels && ourInstructions(route.labels.answers));
  const asked = { role: 'user', content: text.value };
  const messages = told === undefined ? [asked] : [{ role: 'system', content: told }, asked];
  exchange.body = { ...rest, ...(instructions !== undefined && { instructions }), messages };
  exchange.raw = Buffer.from(JSON.stringify({ ...rest, messages }));
}

function ourInstructions(labels: readonly string[]): string {
  return `Classify the text. Answer with exactly one of these labels and nothing else: ${labels.join(', ')}`;
}

/** What was tried for the texts, for the request that they are of. */
function gatherAttempts(exchange: Exchange, parts: readonly Exchange[], batch: Batch): void {
  for (const part of parts) {
    for (const attempt of part.attempts) {
      // One that was stopped because another text failed was never made.
      const isStopped = attempt.failure === clientGone && !exchange.gone;
      if (isStopped || batch.joined.has(attempt)) continue;
      attempt.outcome = outcomeOf(attempt, { answer: part.text?.taken?.attempt });
      delete attempt.confidence; // a batch has one confidence, that of its least sure text
      exchange.attempts.push(attempt);
    }
    if (part.escalations.length > 0) exchange.escalations = [...exchange.escalations, ...part.escalations];
    exchange.notEscalated ??= part.notEscalated;
  }
}

/** What the answers cost together, and how sure the least sure of them is. */
function gatherAnswers(exchange: Exchange, parts: readonly Exchange[]): void {
  let usage: TokenUsage | undefined;
  let least: number | 'Unknown' = 1;
  for (const part of parts) {
    usage = addUsage(usage, part.usage, 'PerPrompt');
    const confidence = part.text?.taken?.verdict.confidence;
    if (confidence === undefined) least = 'Unknown';
    else if (least !== 'Unknown' && confidence < least) least = confidence;
  }
  exchange.usage = usage;
  exchange.confidence = least;
}

/** The answer in the form of vLLM's `/classify`, with the names of the labels and the probability of the one that was found. */
function documentOf({ id, model, route, usage }: Exchange, taken: readonly TakenText[]) {
  const first = taken[0]?.attempt.backend;
  return {
    id: `classify-${id}`,
    object: 'list',
    created: Math.floor(Date.now() / 1000),
    model,
    labels: route?.labels?.answers,
    data: taken.map(({ attempt, verdict }, index) => {
      const { label, confidence = null, probabilities = null } = verdict;
      return {
        index,
        label,
        probability: confidence,
        probs: probabilities,
        num_classes: (route?.labels?.answers ?? probabilities)?.length,
        backend: attempt.backend === first ? undefined : attempt.backend.name,
      };
    }),
    usage: usage && {
      prompt_tokens: usage.prompt,
      completion_tokens: usage.completion,
      total_tokens: usage.prompt + usage.completion,
      prompt_tokens_details: { cached_tokens: usage.cached },
    },
  };
}
