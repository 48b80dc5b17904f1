import { randomUUID } from 'node:crypto';
import { type AnswerDocument, type Choice, isObject, type JsonObject, usageOf } from '../answers/document.ts';
import type { ApiError } from '../errors.ts';

/** Why an answer is not complete, by the chat's `finish_reason`. */
const incomplete: Readonly<Record<string, string>> = { length: 'max_output_tokens', content_filter: 'content_filter' };

/** A text that grows: a message's, a refusal, or what a model thinks. */
interface Text {
  item: JsonObject;
  at: number;
  /** Index in the item's content. */
  index: number;
  part: JsonObject & { type: 'output_text' | 'refusal' | 'reasoning_text' };
  logprobs: unknown[];
}

/** A call that grows. */
interface FunctionCall {
  item: JsonObject & { arguments: string };
  at: number;
}

/** Names of the events of a text, and of its field in the part. */
const textKinds = {
  output_text: { events: 'response.output_text', field: 'text' },
  refusal: { events: 'response.refusal', field: 'refusal' },
  reasoning_text: { events: 'response.reasoning_text', field: 'text' },
} as const;

/**
 * Makes a response of a chat's pieces, and tells of it in events as OpenAI does
 * (https://platform.openai.com/docs/api-reference/responses-streaming): each item is added, grows and is done.
 */
export class ResponseWriter {
  /** As far as it has come. */
  readonly response: JsonObject;
  readonly #output: JsonObject[] = [];
  readonly #calls = new Map<unknown, FunctionCall>();
  readonly #withLogprobs: boolean;
  #text: Text | undefined;
  #finish: string | undefined;
  #usage: JsonObject | null = null;
  #events = '';
  #sequence = 0;
  #ended = false;

  /** `response`: before anything of it is said. */
  constructor(response: JsonObject, withLogprobs: boolean) {
    this.response = response;
    this.#withLogprobs = withLogprobs;
    this.#tell('response.created', { response });
    this.#tell('response.in_progress', { response });
  }

  /** The events since this was last called. */
  taken(): string {
    const events = this.#events;
    this.#events = '';
    return events;
  }

  add(piece: AnswerDocument): void {
    this.#usage = responseUsage(piece) ?? this.#usage;
    const choice = piece.choices.find(({ index }) => index === 0);
    if (!choice) return;
    const delta = isObject(choice['delta']) ? choice['delta'] : {};
    const { content, refusal, tool_calls: calls } = delta;
    this.#say('reasoning_text', delta['reasoning_content'] ?? delta['reasoning'], []);
    this.#say('output_text', content, this.#withLogprobs ? logprobsOf(choice) : []);
    this.#say('refusal', refusal, []);
    if (Array.isArray(calls)) for (const [at, call] of calls.entries()) if (isObject(call)) this.#call(call, at);
    if (typeof choice.finish_reason === 'string') this.#finish = choice.finish_reason;
  }

  /** The chat has ended. */
  finish(): void {
    if (this.#ended) return;
    if (this.#output.length === 0) this.#open('output_text'); // an answer that says nothing is a message, too
    const reason = incomplete[this.#finish ?? ''];
    this.#closeAll(reason === undefined ? 'completed' : 'incomplete');
    this.#end(
      reason === undefined
        ? { status: 'completed', completed_at: Math.floor(Date.now() / 1000) }
        : { status: 'incomplete', incomplete_details: { reason } },
    );
  }

  /** The chat has broken off. */
  fail(error: ApiError): void {
    if (this.#ended) return;
    const code = error.status === 429 ? 'rate_limit_exceeded' : 'server_error';
    for (const item of this.#output) if (item['status'] === 'in_progress') item['status'] = 'incomplete';
    this.#end({ status: 'failed', error: { code, message: error.message } });
  }

  #end(how: JsonObject & { status: string }): void {
    this.#ended = true;
    Object.assign(this.response, how, { output: this.#output, usage: this.#usage });
    this.#tell(`response.${how.status}`, { response: this.response });
  }

  #say(type: Text['part']['type'], delta: unknown, logprobs: unknown[]): void {
    if (typeof delta !== 'string' || delta === '') return;
    const text = this.#text?.part.type === type ? this.#text : this.#open(type);
    const { events, field } = textKinds[type];
    text.part[field] = `${text.part[field] as string}${delta}`;
    for (const one of logprobs) text.logprobs.push(one);
    this.#tell(`${events}.delta`, { ...placeOf(text), delta, ...(type === 'output_text' && { logprobs }) });
  }

  /** Begins a text: a part of the message that is under way, or an item of its own. */
  #open(type: Text['part']['type']): Text {
    const isThought = type === 'reasoning_text';
    const before = this.#text;
    const isSameItem = before !== undefined && before.item['type'] === 'message' && !isThought;
    if (isSameItem) this.#closeText(before);
    else this.#closeItem('completed');
    const item = isSameItem ? before.item : isThought ? thought() : message();
    if (!isSameItem) this.#addItem(item);
    const content = item['content'] as JsonObject[];
    const logprobs: unknown[] = [];
    const part =
      type === 'output_text' ? { type, text: '', annotations: [], logprobs } : { type, [textKinds[type].field]: '' };
    const text: Text = {
      item,
      at: isSameItem ? before.at : this.#output.length - 1,
      index: content.length,
      part,
      logprobs,
    };
    this.#tell('response.content_part.added', { ...placeOf(text), part });
    content.push(part);
    this.#text = text;
    return text;
  }

  #closeText(text: Text): void {
    const { part, logprobs } = text;
    const { events, field } = textKinds[part.type];
    const said = { [field]: part[field], ...(part.type === 'output_text' && { logprobs }) };
    this.#tell(`${events}.done`, { ...placeOf(text), ...said });
    this.#tell('response.content_part.done', { ...placeOf(text), part });
  }

  #closeItem(status: string): void {
    const text = this.#text;
    if (!text) return;
    this.#text = undefined;
    this.#closeText(text);
    this.#done(text.item, text.at, status);
  }

  #call(piece: JsonObject, position: number): void {
    const { index = position, id } = piece;
    const { name, arguments: given } = isObject(piece['function']) ? piece['function'] : {};
    let call = this.#calls.get(index);
    if (!call) {
      this.#closeItem('completed');
      const item = {
        id: newId('fc'),
        type: 'function_call',
        status: 'in_progress',
        call_id: typeof id === 'string' ? id : newId('call'),
        name: typeof name === 'string' ? name : '',
        arguments: '',
      };
      this.#addItem(item);
      this.#calls.set(index, (call = { item, at: this.#output.length - 1 }));
    }
    if (typeof given !== 'string' || given === '') return;
    call.item.arguments += given;
    const { at, item } = call;
    this.#tell('response.function_call_arguments.delta', { item_id: item['id'], output_index: at, delta: given });
  }

  #closeAll(status: string): void {
    this.#closeItem(status);
    for (const { item, at } of this.#calls.values()) {
      const { id, name, arguments: given } = item as JsonObject;
      const place = { item_id: id, output_index: at };
      this.#tell('response.function_call_arguments.done', { ...place, name, arguments: given });
      this.#done(item, at, status);
    }
  }

  #addItem(item: JsonObject): void {
    this.#tell('response.output_item.added', { output_index: this.#output.length, item });
    this.#output.push(item);
  }

  #done(item: JsonObject, at: number, status: string): void {
    item['status'] = status;
    this.#tell('response.output_item.done', { output_index: at, item });
  }

  #tell(type: string, fields: JsonObject): void {
    this.#events += `event: ${type}\ndata: ${JSON.stringify({ type, sequence_number: this.#sequence++, ...fields })}\n\n`;
  }
}

function placeOf({ item, at, index }: Text) {
  return { item_id: item['id'], output_index: at, content_index: index };
}

function message(): JsonObject {
  return { id: newId('msg'), type: 'message', status: 'in_progress', role: 'assistant', content: [] };
}

function thought(): JsonObject {
  return { id: newId('rs'), type: 'reasoning', status: 'in_progress', summary: [], content: [] };
}

function newId(kind: string): string {
  return `${kind}_${randomUUID().replaceAll('-', '')}`;
}

function logprobsOf({ logprobs }: Choice): unknown[] {
  return isObject(logprobs) && Array.isArray(logprobs['content']) ? logprobs['content'] : [];
}

/** The usage of a chat as this API tells it; null where the backend told none: tokens are never guessed. */
function responseUsage(piece: JsonObject): JsonObject | null {
  const usage = usageOf(piece);
  if (!usage) return null;
  const details = isObject(piece['usage']) ? piece['usage']['prompt_tokens_details'] : undefined;
  const written = isObject(details) ? details['cache_write_tokens'] : undefined;
  return {
    input_tokens: usage.prompt,
    input_tokens_details: {
      cached_tokens: usage.cached,
      cache_write_tokens: typeof written === 'number' ? written : 0,
    },
    output_tokens: usage.completion,
    output_tokens_details: { reasoning_tokens: usage.reasoning },
    total_tokens: usage.prompt + usage.completion,
  };
}
