import type { LabelSet } from '../answers/labels.ts';
import type { UsageKind } from '../answers/usage.ts';
import { setMembers } from '../json/edit.ts';
import { chatCompletions, embeddings, type RequestBody } from '../operations.ts';
import type { Asked, Dialect, UpstreamRequest } from './dialect.ts';
import { withUsage } from './stream-options.ts';

/**
 * llama-server. It notices that a client has gone only while it streams to it, and otherwise generates to the end: so
 * every text is asked for as a stream, and put together here for a client that wants it whole.
 */
export const llamaCpp: Dialect = {
  interruptedReason: undefined, // on SIGTERM its streams just end, without `[DONE]`
  request({ operation, raw, body, backend, servedModel, labels }: Asked): UpstreamRequest {
    const changes: Record<string, string> = {};
    if (body['model'] !== backend.servedModel) changes['model'] = servedModel;
    const path = `/v1${operation.path}`;
    if (operation === embeddings) return { path, body: setMembers(raw, changes), streamed: false, usage: 'Running' };
    if (body['stream'] !== true) changes['stream'] = 'true';
    const options = withUsage(body);
    if (options !== undefined) changes['stream_options'] = options;
    if (labels) changes['grammar'] = operation === chatCompletions ? grammarsOf(labels).chat : grammarsOf(labels).text;
    return { path, body: setMembers(raw, changes), streamed: true, usage: usageKind(body) };
  },
};

/** It tells the usage of each choice when that choice ends. A prompt is a text or a list of tokens; several are a list of these. */
function usageKind({ prompt }: RequestBody): UsageKind {
  return Array.isArray(prompt) && typeof prompt[0] !== 'number' ? 'PerPrompt' : 'PerChoice';
}

/** Grammars of a label set, in JSON. */
interface Grammars {
  chat: string;
  /** For a text to be continued: models then begin a word with a space. */
  text: string;
}

const grammars = new WeakMap<LabelSet, Grammars>();

function grammarsOf(labels: LabelSet): Grammars {
  let made = grammars.get(labels);
  if (!made) {
    const choice = [...labels.names].map(gbnfString).join(' | ');
    made = {
      chat: JSON.stringify(`root ::= ${choice}`),
      text: JSON.stringify(`root ::= " "? (${choice})`),
    };
    grammars.set(labels, made);
  }
  return made;
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
