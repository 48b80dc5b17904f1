import type { UsageKind } from '../answers/usage.ts';
import type { LabelQuestion } from '../confidence/label-set.ts';
import { setMembers } from '../json/edit.ts';
import { embeddings, type RequestBody } from '../operations.ts';
import type { Asked, Dialect, UpstreamRequest } from './dialect.ts';
import { engineHeaders } from './engine-headers.ts';
import { madeOnce, mostTokensOf, oneLabel, withLogprobs } from './one-label.ts';
import { withUsage } from './stream-options.ts';
import { tokenLogprobs } from './token-logprobs.ts';

/**
 * llama-server. It notices that a client has gone only while it streams to it, and otherwise generates to the end: so
 * every text is asked for as a stream, and put together here for a client that wants it whole.
 */
export const llamaCpp: Dialect = {
  interruptedReason: undefined, // on SIGTERM its streams just end, without `[DONE]`
  givesLogprobs: true,
  headers: engineHeaders,
  request({ operation, raw, body, backend, servedModel, labels, scored }: Asked): UpstreamRequest {
    const changes: Record<string, string> = {};
    if (body['model'] !== backend.servedModel) changes['model'] = servedModel;
    const path = `/v1${operation.path}`;
    if (operation === embeddings) return { path, body: setMembers(raw, changes), streamed: false, usage: 'Running' };
    if (body['stream'] !== true) changes['stream'] = 'true';
    const options = withUsage(body);
    if (options !== undefined) changes['stream_options'] = options;
    if (scored && !hasTools(body)) Object.assign(changes, tokenLogprobs(body, operation));
    if (labels) Object.assign(changes, oneLabel(body, fieldsFor(labels, operation)));
    return { path, body: setMembers(raw, changes), streamed: true, usage: usageKind(body) };
  },
};

/** It refuses to tell log-probabilities of a stream where there are tools, and is always asked for streams. */
function hasTools({ tools }: RequestBody): boolean {
  return Array.isArray(tools) && tools.length > 0;
}

/** It tells the usage of each choice when that choice ends. A prompt is a text or a list of tokens; several are a list of these. */
function usageKind({ prompt }: RequestBody): UsageKind {
  return Array.isArray(prompt) && typeof prompt[0] !== 'number' ? 'PerPrompt' : 'PerChoice';
}

const fieldsFor = madeOnce(labelFields);

/** By so much the tokens that begin labels are raised above all others: e^100 times likelier, with their ratios kept. */
const bias = 100;

/** More tokens than this at one position are not asked for. */
const mostTokens = 1000;

/**
 * How llama-server is asked for labels. Its log-probabilities are those of the whole vocabulary, and what a general model
 * thinks of a label may be thousands of tokens down the list. So the labels' own tokens are raised by a bias, which the
 * server's tokenizer knows, and the probabilities after sampling, with nothing but temperature 1 in the sampler's chain, are
 * those of the labels' tokens, renormalised: softmax(z + b) over tokens with one b is softmax(z) over these tokens.
 *
 * Where a name ends and another goes on, the token that ends an answer would have to be raised as well, and nobody has told
 * which one that is: there, what is told without a bias must do.
 */
function labelFields({ tokens, names, whole }: LabelQuestion) {
  const spaced = names.map((name) => ` ${name}`);
  const choices = names.length > 0 ? [`" "? (${names.map(gbnfString).join(' | ')})`] : [];
  const grammar = `root ::= ${[...tokens.map(gbnfString), ...choices].join(' | ')}`;
  const held = whole && {
    grammar: JSON.stringify(grammar),
    max_tokens: String(mostTokensOf([...tokens, ...spaced])),
  };
  if (whole && isAnyContinued(names)) return withLogprobs({ ...held, temperature: '0' }, mostTokens);
  const raised = [...tokens, ...names, ...spaced].map((text) => [text, bias]);
  const common = {
    max_tokens: '1',
    temperature: '1',
    samplers: '["temperature"]',
    seed: '0',
    logit_bias: JSON.stringify(raised),
    post_sampling_probs: 'true',
    ...held,
  };
  // A name may be of several tokens, each of which is raised.
  return withLogprobs(common, Math.min(mostTokens, tokens.length + names.length * 4 + 1));
}

/** Whether one name begins another. */
function isAnyContinued(names: readonly string[]): boolean {
  const sorted = names.toSorted();
  return sorted.some((name, at) => sorted[at + 1]?.startsWith(name) === true);
}

/** A literal of llama.cpp's grammar language (grammars/README.md there). */
export function gbnfString(text: string): string {
  let escaped = '';
  for (const char of text) {
    const code = char.charCodeAt(0);
    if (char === '"' || char === '\\') escaped += `\\${char}`;
    else if (code < 0x20 || code === 0x7f) escaped += `\\x${code.toString(16).padStart(2, '0').toUpperCase()}`;
    else escaped += char;
  }
  return `"${escaped}"`;
}
