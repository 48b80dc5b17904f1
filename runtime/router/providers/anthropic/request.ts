import { isObject, type JsonObject } from '../../answers/document.ts';
import { ApiError } from '../../errors.ts';
import type { RequestBody } from '../../operations.ts';
import type { CallableBackend } from '../dialect.ts';
import { NotTranslatable } from '../not-translatable.ts';
import { conversation } from './conversation.ts';
import { toolChoice, toolsOf } from './tools.ts';

/** Tokens of an answer whose client set no limit, where the policy sets none either: Anthropic demands one. */
export const defaultMaxTokens = 4096;

/** Longest `metadata.user_id` that Anthropic takes, in characters. */
const longestUser = 256;

export interface MessagesOptions {
  /** Else a completion. */
  isChat: boolean;
  stream: boolean;
  backend: CallableBackend;
}

/**
 * A client's chat or completion as a request of Anthropic's Messages API. What has no counterpart and only nudges the
 * answer (seed, penalties, logit_bias, log-probabilities, …) is left out, as in Anthropic's own layer for OpenAI's
 * clients; what would change the form of the answer is refused. Throws `NotTranslatable`, or an `ApiError` (400) for what is
 * wrong in itself.
 */
export function messagesRequest(body: RequestBody, { isChat, stream, backend }: MessagesOptions): JsonObject {
  refuseWhatChangesForm(body, isChat);
  const request: JsonObject = {
    model: backend.servedModel,
    max_tokens: isGiven(body['max_completion_tokens'])
      ? body['max_completion_tokens']
      : (body['max_tokens'] ?? ((backend.kind === 'Provider' && backend.maxTokens) || defaultMaxTokens)),
    ...(isChat ? conversation(body['messages']) : { messages: [{ role: 'user', content: promptOf(body) }] }),
  };
  if (stream) request['stream'] = true;
  const stops = stopSequences(body['stop']);
  if (stops.length > 0) request['stop_sequences'] = stops;
  if (takesSampling(backend.servedModel)) Object.assign(request, sampling(body));
  const user = body['user'] ?? body['safety_identifier'];
  // Anthropic refuses what looks like a person's address, and asks not to be sent one.
  if (typeof user === 'string' && user.length <= longestUser && !user.includes('@')) {
    request['metadata'] = { user_id: user };
  }
  if (!isChat) return request;
  const tools = toolsOf(body['tools']);
  if (tools.length > 0) {
    request['tools'] = tools;
    const choice = toolChoice(body['tool_choice'], body['parallel_tool_calls']);
    if (choice) request['tool_choice'] = choice;
  }
  const format = outputFormat(body['response_format']);
  if (format) request['output_config'] = { format };
  if (isObject(body['thinking'])) request['thinking'] = body['thinking'];
  return request;
}

/** Fields that ask for another form of answer than there is, by the value that asks for nothing. */
function refuseWhatChangesForm(body: RequestBody, isChat: boolean): void {
  const { n, best_of: best, echo, suffix, modalities, audio, functions, web_search_options: search } = body;
  if (isGiven(n) && n !== 1) throw new NotTranslatable('n', 'it gives one answer: leave "n" out, or ask again');
  if (isGiven(functions)) throw new NotTranslatable('functions', '"functions" is not translated: use "tools"');
  if (isGiven(audio) || (Array.isArray(modalities) && modalities.includes('audio')))
    throw new NotTranslatable(isGiven(audio) ? 'audio' : 'modalities', 'it gives no audio');
  if (isGiven(search)) throw new NotTranslatable('web_search_options', 'it is not asked to search the web');
  if (isChat) return;
  if (isGiven(best) && best !== 1) throw new NotTranslatable('best_of', 'it gives one answer: leave "best_of" out');
  if (echo === true) throw new NotTranslatable('echo', 'it does not repeat a prompt: leave "echo" out');
  if (isGiven(suffix) && suffix !== '') throw new NotTranslatable('suffix', 'it does not fill in: leave "suffix" out');
}

function isGiven(value: unknown): boolean {
  return value !== undefined && value !== null;
}

/** The prompt of a completion, which becomes the user's only message. */
function promptOf({ prompt }: RequestBody): string {
  const only = Array.isArray(prompt) && prompt.length === 1 ? (prompt[0] as unknown) : prompt;
  if (typeof only === 'string') return only;
  if (Array.isArray(only)) throw new NotTranslatable('prompt', 'it takes one prompt at a time, as text');
  throw new ApiError(400, 'invalid_type', '"prompt" must be a text', { param: 'prompt' });
}

/** Anthropic refuses sequences of white space. */
function stopSequences(stop: unknown): unknown[] {
  const all = Array.isArray(stop) ? (stop as unknown[]) : isGiven(stop) ? [stop] : [];
  return all.filter((one) => typeof one !== 'string' || one.trim() !== '');
}

/**
 * Generations of models that take sampling parameters: those up to 4.6. Later ones answer 400 to them ("`temperature` is
 * deprecated for this model"), so names that are not known get none.
 */
const samplingModels = [/^claude-(instant|2|3)/, /^claude-(opus|sonnet|haiku)-4(-[0-6])?(-\d{8}|-latest|@.*)?$/];

function takesSampling(model: string): boolean {
  return samplingModels.some((pattern) => pattern.test(model));
}

/** OpenAI's temperature reaches to 2, Anthropic's to 1. Its models from 4.1 on refuse `temperature` and `top_p` together. */
function sampling({ temperature, top_p: topP }: RequestBody): JsonObject {
  if (isGiven(temperature)) {
    return { temperature: typeof temperature === 'number' ? Math.min(temperature, 1) : temperature };
  }
  return isGiven(topP) ? { top_p: topP } : {};
}

/** Structured output (https://platform.claude.com/docs/en/build-with-claude/structured-outputs). */
function outputFormat(format: unknown): JsonObject | undefined {
  if (!isGiven(format)) return undefined;
  const type = isObject(format) ? format['type'] : undefined;
  if (type === 'text') return undefined;
  const described = isObject(format) ? format['json_schema'] : undefined;
  if (type === 'json_schema' && isObject(described) && isObject(described['schema']))
    return { type: 'json_schema', schema: described['schema'] };
  const cure =
    'it is held to a schema only: send response_format {"type": "json_schema", "json_schema": {"schema": …}}';
  throw new NotTranslatable('response_format', cure);
}
