import type { RequestBody } from '../operations.ts';
import { type Choice, isObject, type JsonObject } from './document.ts';

/** Fields that ask for another form of answer than a label. */
const otherForms = [
  'tools',
  'functions',
  'response_format',
  'grammar',
  'json_schema',
  'structured_outputs',
  'guided_json',
  'guided_regex',
  'guided_choice',
  'guided_grammar',
  'echo',
];

/** The field of a request that can't be had together with a label, if there is one. */
export function conflictWithLabels(body: RequestBody): string | undefined {
  return otherForms.find((field) => {
    const value = body[field];
    if (value === undefined || value === null || value === false) return false;
    if (Array.isArray(value)) return value.length > 0;
    return !(field === 'response_format' && typeof value === 'object' && 'type' in value && value.type === 'text');
  });
}

/** The text of a choice; undefined where it has none. */
export function textOf(choice: Choice): string | undefined {
  const { message } = choice;
  const text = isObject(message) ? message['content'] : choice['text'];
  return typeof text === 'string' ? text : undefined;
}

/** The choice with a label for its text, which is whole whatever the model had still to say of it. */
export function withLabel(choice: Choice, label: string): Choice {
  const { message } = choice;
  const said = isObject(message) ? { message: { ...message, content: label } } : { text: label };
  return { ...choice, ...said, finish_reason: 'stop' };
}

/** How many of the likeliest tokens a client wants to see at each position; undefined: it asked for no log-probabilities. */
export function wantedLogprobs(body: RequestBody, isChat: boolean): number | undefined {
  const { logprobs, top_logprobs: top } = body;
  if (!isChat) return typeof logprobs === 'number' ? logprobs : undefined;
  if (logprobs !== true) return undefined;
  return typeof top === 'number' ? top : 0;
}

/** The choice with the log-probabilities that the client asked for, of which more were asked for than it did. */
export function withLogprobs(choice: Choice, wanted: number | undefined): Choice {
  const { logprobs } = choice;
  if (!isObject(logprobs)) return choice;
  if (wanted === undefined) return { ...choice, logprobs: null };
  const { content, top_logprobs: tops } = logprobs;
  if (Array.isArray(content))
    return { ...choice, logprobs: { ...logprobs, content: content.map((one) => cut(one, wanted)) } };
  if (!Array.isArray(tops)) return choice;
  const fewer = tops.map((top: unknown) => (isObject(top) ? likeliest(top, wanted) : top));
  return { ...choice, logprobs: { ...logprobs, top_logprobs: fewer } };
}

/** A position with at most `most` tokens, in OpenAI's form: llama-server writes probabilities after sampling otherwise. */
function cut(position: unknown, most: number): unknown {
  if (!isObject(position)) return position;
  const { top_logprobs: logprobs, top_probs: probs, ...rest } = position;
  const top = Array.isArray(logprobs) ? logprobs : Array.isArray(probs) ? probs : [];
  return {
    ...asLogprobs(rest),
    top_logprobs: top.slice(0, most).map((one: unknown) => (isObject(one) ? asLogprobs(one) : one)),
  };
}

/** Lowest logarithm that is written, for what JSON has no number. */
const lowest = -9999;

function asLogprobs(entry: JsonObject): JsonObject {
  if (typeof entry['prob'] !== 'number') return entry;
  const { prob, ...rest } = entry;
  return { ...rest, logprob: Math.max(lowest, Math.log(prob)) };
}

function likeliest(top: JsonObject, most: number): JsonObject {
  const sorted = Object.entries(top).sort(([, a], [, b]) => Number(b) - Number(a));
  return Object.fromEntries(sorted.slice(0, most));
}
