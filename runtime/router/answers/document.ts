/** Tokens as the upstream counted them; a number that it did not give is 0. */
export interface TokenUsage {
  prompt: number;
  completion: number;
  /** Of the prompt's tokens, those that were read from a cache. */
  cached: number;
  /** Of the prompt's tokens, those that were written to a cache, which Anthropic bills apart. */
  cacheWrite: number;
  /** Of the completion's tokens, those that the model thought with. */
  reasoning: number;
}

export type JsonObject = Record<string, unknown>;

/** One choice of an answer, or of a streamed piece of it. Fields that we do not know stay where they are. */
export interface Choice extends JsonObject {
  index: number;
  finish_reason?: string | null;
}

/** An answer to a chat or completion, or one event of its stream. */
export interface AnswerDocument extends JsonObject {
  choices: Choice[];
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Parses an object; undefined for anything else. */
export function parseObject(json: Buffer | string): JsonObject | undefined {
  try {
    const value = JSON.parse(typeof json === 'string' ? json : json.toString()) as unknown;
    return isObject(value) ? value : undefined;
  } catch {
    return undefined; // not JSON: the caller says what that means
  }
}

/** Whether an object is an answer or a piece of one. An upstream's choice without an index is the first. */
export function isAnswer(value: JsonObject): value is AnswerDocument {
  const { choices } = value;
  if (!Array.isArray(choices) || !choices.every(isObject)) return false;
  for (const choice of choices) if (!Number.isSafeInteger(choice['index'])) choice['index'] = 0;
  return true;
}

/** The usage in an answer, undefined where there is none: tokens are never guessed. */
export function usageOf(document: JsonObject): TokenUsage | undefined {
  const { usage } = document;
  if (!isObject(usage)) return undefined;
  const prompt = usage['prompt_tokens_details'];
  const completion = usage['completion_tokens_details'];
  return {
    prompt: count(usage['prompt_tokens']),
    completion: count(usage['completion_tokens']),
    cached: isObject(prompt) ? count(prompt['cached_tokens']) : 0,
    cacheWrite: isObject(prompt) ? count(prompt['cache_write_tokens']) : 0,
    reasoning: isObject(completion) ? count(completion['reasoning_tokens']) : 0,
  };
}

/** Writes the sum of several usages into an answer. */
export function setUsage(document: JsonObject, { prompt, completion, cached, cacheWrite }: TokenUsage): void {
  const usage = isObject(document['usage']) ? document['usage'] : {};
  document['usage'] = {
    ...usage,
    prompt_tokens: prompt,
    completion_tokens: completion,
    total_tokens: prompt + completion,
    prompt_tokens_details: { cached_tokens: cached, ...(cacheWrite > 0 && { cache_write_tokens: cacheWrite }) },
  };
}

function count(value: unknown): number {
  return typeof value === 'number' && Number.isFinite(value) && value > 0 ? value : 0;
}

/** A 200 that carries an error. */
export function isError(document: JsonObject): boolean {
  const { error, choices } = document;
  return error !== undefined && error !== null && error !== false && choices === undefined;
}
