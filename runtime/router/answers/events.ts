import { type Failure, interrupted, invalidAnswer } from '../providers/failure.ts';
import { eventFailure } from '../providers/upstream-error.ts';
import { isAnswer, isError, isObject, type JsonObject, parseObject } from './document.ts';
import type { ServerSentEvent } from './sse.ts';

const done = Buffer.from('[DONE]');
const openBrace = 0x7b;
const closeBrace = 0x7d;
const colon = 0x3a;
const errorKey = Buffer.from('"error"');
const usageKey = Buffer.from('"usage"');

/** The event that ends a complete stream. */
export function isDone({ data }: ServerSentEvent): boolean {
  return data.length === done.length && data.equals(done);
}

/** An event that says nothing: llama-server begins with `null` when it is asked for several prompts at once. */
export function isEmpty({ data }: ServerSentEvent): boolean {
  return data.length === 0 || (data.length === 4 && data.toString() === 'null');
}

/** Whether an event can be an answer's piece at all. */
export function looksLikeObject(data: Buffer): boolean {
  return data[0] === openBrace && data.at(-1) === closeBrace;
}

/** Whether an event has to be parsed to know what it means; most have not. `reason`: how the engine says that it stopped. */
export function needsReading(event: ServerSentEvent, reason: Buffer | undefined): boolean {
  const { data } = event;
  if (event.event === 'error' || data.indexOf(errorKey) >= 0) return true;
  if (reason && data.indexOf(reason) >= 0) return true;
  const usage = data.indexOf(usageKey);
  if (usage < 0) return false;
  let at = usage + usageKey.length;
  while (data[at] === colon || data[at] === 0x20) at++;
  return data[at] === openBrace;
}

/** Reads an event; the failure that it tells of, where it does. */
export function readEvent(
  { data, event }: ServerSentEvent,
  backend: string,
  interruptedReason: string | undefined,
): { piece: JsonObject; failure?: never } | { piece?: never; failure: Failure } {
  const piece = parseObject(data);
  if (!piece) return { failure: invalidAnswer(backend, 'sent an event that is not a JSON object') };
  if (event === 'error' || isError(piece)) return { failure: eventFailure(backend, data.toString()) };
  if (interruptedReason !== undefined && isAnswer(piece)) {
    if (piece.choices.some((choice) => choice.finish_reason === interruptedReason))
      return { failure: interrupted(backend) };
  }
  return { piece };
}

/** The event that only tells the usage: it has no choice. */
export function isUsageOnly(piece: JsonObject): boolean {
  return isObject(piece['usage']) && Array.isArray(piece['choices']) && piece['choices'].length === 0;
}

/** The event that opens a stream, before there is any answer: it says who speaks, if anything. */
export function isOpening(piece: JsonObject): boolean {
  return isAnswer(piece) && piece.choices.length > 0 && piece.choices.every(saysNothing);
}

function saysNothing(choice: JsonObject): boolean {
  const { delta, text, finish_reason: finish } = choice;
  const isBlank = (value: unknown): boolean => value === undefined || value === null || value === '';
  const saysRoleOnly =
    !isObject(delta) || Object.entries(delta).every(([name, value]) => name === 'role' || isBlank(value));
  return isBlank(finish) && isBlank(text) && saysRoleOnly;
}

/** A stream was asked for, and something else came. */
export function notAStream(backend: string, contentType: string): Failure {
  return invalidAnswer(
    backend,
    `was asked for a stream and sent ${contentType === '' ? 'something else' : contentType}`,
  );
}
