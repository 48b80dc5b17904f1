import type { ModelBackend } from '../../../crds/route-table.ts';
import { type AnswerDocument, isObject, type JsonObject } from '../answers/document.ts';
import { ApiError } from '../errors.ts';
import { chatCompletions, type Operation, type RequestBody } from '../operations.ts';
import type { CallableBackend, UpstreamRequest } from './dialect.ts';

/** A model with a classification head, as vLLM serves it at `/classify`. It writes no text. */
export interface ClassifierBackend extends ModelBackend {
  classify: NonNullable<ModelBackend['classify']>;
}

export function isClassifier(backend: CallableBackend): backend is ClassifierBackend {
  return backend.kind === 'Model' && backend.classify !== undefined;
}

/** What a classification head thinks of one text. */
export interface Classification {
  /** Name of the likeliest class, as the model's configuration has it. */
  label: string;
  /** By class, in the order of the model's configuration. */
  probabilities: readonly number[];
}

/** The request to classify what a client wants to have answered. Throws an `ApiError` where there is no text. */
export function classifyRequest(
  operation: Operation,
  body: RequestBody,
  { servedModel, classify }: ClassifierBackend,
): UpstreamRequest {
  const isChat = operation === chatCompletions;
  const asked =
    isChat && classify === 'Messages'
      ? { messages: body['messages'] }
      : { input: isChat ? lastMessage(body) : prompt(body) };
  const request = Buffer.from(JSON.stringify({ model: servedModel, ...asked }));
  return { path: '/classify', body: request, streamed: false, usage: 'Running' };
}

/** The request to classify several texts at once. */
export function textsRequest(texts: readonly string[], { servedModel }: ClassifierBackend): UpstreamRequest {
  const request = Buffer.from(JSON.stringify({ model: servedModel, input: texts }));
  return { path: '/classify', body: request, streamed: false, usage: 'Running' };
}

/** The text of the last message of the user. */
function lastMessage({ messages }: RequestBody): string {
  const own = (Array.isArray(messages) ? messages : []).filter(isObject).filter(({ role }) => role === 'user');
  const content = own.at(-1)?.['content'];
  const parts = Array.isArray(content) ? content.filter(isObject).map(({ text }) => text) : [content];
  const texts = parts.filter((text) => typeof text === 'string');
  if (texts.length > 0) return texts.join('');
  throw new ApiError(
    400,
    'invalid_type',
    'the model classifies text: "messages" must have a text from the role "user"',
    {
      param: 'messages',
    },
  );
}

function prompt({ prompt: asked }: RequestBody): string | string[] {
  if (typeof asked === 'string') return asked;
  if (Array.isArray(asked) && asked.length > 0 && asked.every((one) => typeof one === 'string')) return asked;
  throw new ApiError(400, 'invalid_type', 'the model classifies text: "prompt" must be a text or a list of texts', {
    param: 'prompt',
  });
}

/** Reads vLLM's answer, one classification for each text; undefined where it is none. */
export function readClassifications({ data }: JsonObject): Classification[] | undefined {
  if (!Array.isArray(data) || data.length === 0) return undefined;
  const read = data.map((one: unknown): Classification | undefined => {
    if (!isObject(one)) return undefined;
    const { label, probs } = one;
    if (typeof label !== 'string' || !Array.isArray(probs)) return undefined;
    return probs.every((p) => typeof p === 'number') ? { label, probabilities: probs } : undefined;
  });
  return read.every((one) => one !== undefined) ? read : undefined;
}

/** A classification as the answer to what the client asked. */
export function asAnswer(
  { id, created, usage }: JsonObject,
  operation: Operation,
  texts: readonly string[],
): AnswerDocument {
  const isChat = operation === chatCompletions;
  const choices = texts.map((text, index) => ({
    index,
    ...(isChat ? { message: { role: 'assistant', content: text } } : { text }),
    logprobs: null,
    finish_reason: 'stop',
  }));
  return { id, object: isChat ? 'chat.completion' : 'text_completion', created, choices, usage };
}
