import type { LabelQuestion } from '../confidence/label-set.ts';
import { completions, type Operation, type RequestBody } from '../operations.ts';

/** What a client may have set that would change which tokens are said, with what leaves that to the model, in JSON. */
const neutral: Readonly<Record<string, string>> = {
  n: '1',
  best_of: '1',
  stop: '[]',
  stop_token_ids: '[]',
  min_tokens: '0',
  ignore_eos: 'false',
  mirostat: '0',
  dynatemp_range: '0',
  allowed_token_ids: 'null',
  bad_words: '[]',
  logit_bias: 'null',
};

/** Other names of `max_tokens`. */
const limits = ['max_completion_tokens', 'n_predict'];

/** The fields of a request that ask for labels, in JSON. */
export type LabelFields = Readonly<Record<string, string>>;

/** The same for both operations. */
interface FieldsByOperation {
  chat: LabelFields;
  text: LabelFields;
}

/** The fields with those that ask for the log-probabilities of so many tokens, which the two operations write each its way. */
export function withLogprobs(fields: LabelFields, top: number): FieldsByOperation {
  const most = String(top);
  return { chat: { ...fields, logprobs: 'true', top_logprobs: most }, text: { ...fields, logprobs: most } };
}

/** How a dialect asks a question, made once for each question: routes keep theirs. */
export function madeOnce(
  make: (question: LabelQuestion) => FieldsByOperation,
): (question: LabelQuestion, operation: Operation) => LabelFields {
  const made = new WeakMap<LabelQuestion, FieldsByOperation>();
  return (question, operation) => {
    let fields = made.get(question);
    if (!fields) made.set(question, (fields = make(question)));
    return operation === completions ? fields.text : fields.chat;
  };
}

/**
 * The fields that ask an engine for one label, in JSON: `fields`, and what keeps the client's own from interfering. A label
 * is one answer, whole, however many and however long ones were asked for.
 */
export function oneLabel(body: RequestBody, fields: LabelFields): Record<string, string> {
  const changes: Record<string, string> = {};
  for (const [name, value] of Object.entries(neutral)) if (isSet(body[name])) changes[name] = value;
  for (const name of limits) if (isSet(body[name])) changes[name] = fields['max_tokens'] ?? '1';
  return Object.assign(changes, fields);
}

function isSet(value: unknown): boolean {
  return value !== undefined && value !== null;
}

/** Most tokens that one of these texts can have, and one to end it: a token has at least one byte. */
export function mostTokensOf(texts: readonly string[]): number {
  return Math.max(...texts.map((text) => Buffer.byteLength(text))) + 1;
}
