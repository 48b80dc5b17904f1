import { type Choice, isObject, type JsonObject } from '../answers/document.ts';
import { textOf } from '../answers/labels.ts';
import type { RequestBody } from '../operations.ts';
import type { OutputSchema } from './output-schema.ts';

/** Why an answer can't be right whatever its probability is. */
export type Gate = 'Truncated' | 'Refused' | 'Empty' | 'InvalidToolCall' | 'NotJson' | 'SchemaMismatch';

/** The gate that a choice does not pass, and what of the schema it does not keep; undefined where it passes all. */
export interface Stopped {
  gate: Gate;
  why?: string;
}

/** Looks at one choice of an answer to `body`. Calls of tools are no documents, whatever the schema. */
export function stoppedAt(choice: Choice, body: RequestBody, schema: OutputSchema | undefined): Stopped | undefined {
  const { finish_reason: finish } = choice;
  const message = isObject(choice['message']) ? choice['message'] : {};
  if (isRefused(finish, message)) return { gate: 'Refused' };
  if (finish === 'length' && (schema || !isLimited(body))) return { gate: 'Truncated' };
  const calls = toolCallsOf(choice);
  if (calls.length > 0) return calls.every((call) => isSound(call, body)) ? undefined : { gate: 'InvalidToolCall' };
  const text = textOf(choice)?.trim() ?? '';
  if (text === '') return { gate: 'Empty' };
  return schema && outside(schema, text);
}

export function toolCallsOf({ message }: Choice): readonly unknown[] {
  const calls = isObject(message) ? message['tool_calls'] : undefined;
  return Array.isArray(calls) ? calls : [];
}

function isRefused(finish: unknown, { refusal }: JsonObject): boolean {
  return finish === 'content_filter' || (typeof refusal === 'string' && refusal !== '');
}

/** Who sets a limit has asked for a text that may be cut there, and would get no other one elsewhere. */
function isLimited({ max_tokens: tokens, max_completion_tokens: completion }: RequestBody): boolean {
  return typeof tokens === 'number' || typeof completion === 'number';
}

/** Whether a call names one of the tools that there are, and its arguments are a JSON object. */
function isSound(call: unknown, { tools }: RequestBody): boolean {
  if (!isObject(call)) return false;
  const { function: called } = call;
  if (!isObject(called)) return isObject(call['custom']); // a tool whose input has no form
  const { name, arguments: given } = called;
  const names = (Array.isArray(tools) ? tools : []).flatMap((tool: unknown) =>
    isObject(tool) && isObject(tool['function']) ? [tool['function']['name']] : [],
  );
  if (typeof name !== 'string' || (names.length > 0 && !names.includes(name))) return false;
  return given === '' || (typeof given === 'string' && isObject(parsed(given)));
}

function outside(schema: OutputSchema, text: string): Stopped | undefined {
  const document = parsed(text);
  if (document === undefined) return { gate: 'NotJson' };
  const why = schema.problemOf(document);
  return why === undefined ? undefined : { gate: 'SchemaMismatch', why };
}

/** Undefined for what is not JSON. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}
