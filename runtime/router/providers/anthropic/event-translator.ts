import { isObject, type JsonObject } from '../../answers/document.ts';
import { finishReason, headOf, refusalOf, usage } from './answer.ts';

/** A tool call that is being told. */
interface OpenCall {
  /** Among the calls of the answer. */
  index: number;
  /** What its block began with. */
  input: unknown;
  hasArguments: boolean;
}

/**
 * Makes the events of OpenAI's stream of those of Anthropic's (https://platform.claude.com/docs/en/build-with-claude/streaming).
 * Events and blocks that are not known are passed over, as Anthropic asks its clients to; so is what the model thinks.
 */
export class EventTranslator {
  readonly #isChat: boolean;
  #head: JsonObject = {};
  readonly #usage: JsonObject = {};
  #calls = 0;
  readonly #open = new Map<unknown, OpenCall>();
  #finished = false;
  /** The stream has told its end, and why. */
  isComplete = false;

  constructor(isChat: boolean) {
    this.#isChat = isChat;
  }

  /** The events to tell for one of Anthropic's: none, or several. An error is told as it is. */
  translate(event: JsonObject): JsonObject[] {
    switch (event['type']) {
      case 'message_start':
        return this.#start(event['message']);
      case 'content_block_start':
        return this.#startBlock(event['index'], event['content_block']);
      case 'content_block_delta':
        return this.#delta(event['index'], event['delta']);
      case 'content_block_stop':
        return this.#stopBlock(event['index']);
      case 'message_delta':
        return this.#finish(event['delta'], event['usage']);
      case 'message_stop':
        return this.#stop();
      case 'error':
        return [{ error: event['error'] ?? event }];
      default:
        return [];
    }
  }

  #start(message: unknown): JsonObject[] {
    if (!isObject(message)) return [];
    const head = headOf(message, this.#isChat);
    this.#head = this.#isChat ? { ...head, object: 'chat.completion.chunk' } : head;
    this.#count(message['usage']);
    return this.#isChat ? [this.#chunk({ role: 'assistant', content: '' })] : [];
  }

  #startBlock(at: unknown, block: unknown): JsonObject[] {
    if (!isObject(block)) return [];
    const { type, text, id, name, input } = block;
    if (type === 'text') return typeof text === 'string' && text !== '' ? [this.#text(text)] : [];
    if (type !== 'tool_use' || !this.#isChat) return [];
    const index = this.#calls++;
    this.#open.set(at, { index, input, hasArguments: false });
    return [this.#chunk({ tool_calls: [{ index, id, type: 'function', function: { name, arguments: '' } }] })];
  }

  #delta(at: unknown, delta: unknown): JsonObject[] {
    if (!isObject(delta)) return [];
    const { type, text, partial_json: json } = delta;
    if (type === 'text_delta') return typeof text === 'string' && text !== '' ? [this.#text(text)] : [];
    const call = this.#open.get(at);
    if (type !== 'input_json_delta' || !call || typeof json !== 'string' || json === '') return [];
    call.hasArguments = true;
    return [this.#arguments(call, json)];
  }

  /** A call without arguments is told without any; OpenAI's clients parse an object. */
  #stopBlock(at: unknown): JsonObject[] {
    const call = this.#open.get(at);
    this.#open.delete(at);
    return call && !call.hasArguments ? [this.#arguments(call, JSON.stringify(call.input ?? {}))] : [];
  }

  #finish(delta: unknown, counted: unknown): JsonObject[] {
    this.#count(counted);
    const { stop_reason: stop, stop_details: details } = isObject(delta) ? delta : {};
    if (typeof stop !== 'string') return [];
    this.#finished = true;
    const refusal = refusalOf(details);
    return [this.#chunk(refusal === null ? {} : { refusal }, finishReason(stop))];
  }

  #stop(): JsonObject[] {
    this.isComplete = this.#finished;
    const counted = usage(this.#usage);
    return counted ? [{ ...this.#head, choices: [], usage: counted }] : [];
  }

  /** Counts are cumulative: a later one stands for all before it. */
  #count(counted: unknown): void {
    if (!isObject(counted)) return;
    for (const [name, value] of Object.entries(counted)) if (value !== null) this.#usage[name] = value;
  }

  #text(text: string): JsonObject {
    return this.#chunk({ content: text });
  }

  #arguments({ index }: OpenCall, json: string): JsonObject {
    return this.#chunk({ tool_calls: [{ index, function: { arguments: json } }] });
  }

  #chunk(delta: JsonObject, finish: string | null = null): JsonObject {
    const said = this.#isChat ? { delta } : { text: delta['content'] ?? '' };
    return { ...this.#head, choices: [{ index: 0, ...said, logprobs: null, finish_reason: finish }] };
  }
}
