import { type AnswerDocument, type Choice, isObject, type JsonObject } from './document.ts';

/** Puts the pieces of a streamed answer together to what the same request answers without a stream. */
export class Assembler {
  readonly #choices = new Map<number, Choice>();
  #document: JsonObject | undefined;

  add(piece: AnswerDocument): void {
    const { choices, ...rest } = piece;
    this.#document ??= {};
    for (const [key, value] of Object.entries(rest)) {
      if (key === prototypeKey) continue;
      if (value !== null || this.#document[key] === undefined) this.#document[key] = value;
    }
    for (const choice of choices) this.#addChoice(choice);
  }

  /** The whole answer; undefined if no choice came. */
  finish(): AnswerDocument | undefined {
    if (!this.#document || this.#choices.size === 0) return undefined;
    const choices = [...this.#choices.values()].sort((a, b) => a.index - b.index);
    for (const choice of choices) if (isObject(choice['message'])) choice['message'] = complete(choice['message']);
    const { object, ...rest } = this.#document;
    return { choices, ...rest, object: object === 'chat.completion.chunk' ? 'chat.completion' : object };
  }

  #addChoice(piece: Choice): void {
    const { delta, ...rest } = piece;
    let whole = this.#choices.get(piece.index);
    if (!whole) {
      whole = isObject(delta) ? { index: piece.index, message: {} } : { index: piece.index };
      this.#choices.set(piece.index, whole);
    }
    merge(whole, rest);
    if (!isObject(delta)) return;
    const message = (whole['message'] ??= {}) as JsonObject;
    const { tool_calls: calls, ...fields } = delta;
    merge(message, fields);
    if (Array.isArray(calls)) mergeCalls(message, calls.filter(isObject));
  }
}

/** A message has a role and a content also where its stream told of none, as llama-server's sometimes does. */
function complete(message: JsonObject): JsonObject {
  const content = message['content'] ?? (message['tool_calls'] === undefined ? '' : null);
  return { role: 'assistant', ...message, content };
}

/** Fields whose text comes in one piece, however often. */
const notConcatenated = new Set(['index', 'role', 'finish_reason', 'stop_reason', 'id', 'type', 'name']);

/** JSON may have a member of this name; as a property it would reach the prototype that all objects share. */
const prototypeKey = '__proto__';

/** No answer is nested so deeply; below, what comes last replaces what was before. */
const mergedDepth = 64;

/** Texts and lists grow, objects merge, anything else is as it was said last; null says nothing. */
function merge(into: JsonObject, piece: JsonObject, depth = 0): void {
  for (const [key, value] of Object.entries(piece)) {
    if (key === prototypeKey) continue;
    const before = into[key];
    if (before === undefined || before === null) into[key] = value;
    else if (value === null) continue;
    else if (typeof value === 'string' && typeof before === 'string' && !notConcatenated.has(key))
      into[key] = before + value;
    else if (Array.isArray(value) && Array.isArray(before)) for (const item of value) before.push(item);
    else if (isObject(value) && isObject(before) && depth < mergedDepth) merge(before, value, depth + 1);
    else into[key] = value;
  }
}

/** A call comes with its id and name first, then pieces of its arguments, told apart by `index`, which ends with the stream. */
function mergeCalls(message: JsonObject, pieces: readonly JsonObject[]): void {
  const calls = (message['tool_calls'] ??= []) as JsonObject[];
  for (const { index, ...piece } of pieces) {
    const at = typeof index === 'number' && index >= 0 && index <= calls.length ? index : calls.length;
    const call = calls[at];
    if (call) merge(call, piece);
    else calls.push(piece);
  }
}
