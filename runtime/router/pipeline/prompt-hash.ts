import type { RequestBody } from '../operations.ts';
import { hash } from '../routes/hash-ring.ts';
import type { LiveBackend } from '../routes/table.ts';
import type { Exchange } from './exchange.ts';

/** So much of the instructions, and so much of the first message, tell one conversation from another, in UTF-16 units. */
const longest = 512;

/** By what requests go to the endpoint that has their beginning in its cache; undefined where the backend has no use for it. */
export function promptHash({ backend }: LiveBackend, { body }: Pick<Exchange, 'body'>): number | undefined {
  return backend.kind === 'Model' && backend.byPrompt === true ? conversationHash(body) : undefined;
}

/**
 * Of what all requests of one conversation begin with: the messages up to the first of the user, or the beginning of the
 * prompt. Undefined where the body has neither.
 */
export function conversationHash({ messages, prompt }: RequestBody): number | undefined {
  if (typeof prompt === 'string') return hash(prompt.slice(0, longest));
  if (!Array.isArray(messages)) return undefined;
  let value: number | undefined;
  for (const message of messages as unknown[]) {
    const { role, content } = (message ?? {}) as { role?: unknown; content?: unknown };
    value = hash(beginningOf(content), value);
    if (role === 'user') break;
  }
  return value;
}

function beginningOf(content: unknown): string {
  if (typeof content === 'string') return content.slice(0, longest);
  if (!Array.isArray(content)) return '';
  let text = '';
  for (const part of content as unknown[]) {
    const own = (part as { text?: unknown } | null)?.text;
    if (typeof own === 'string') text += own.slice(0, longest);
    if (text.length >= longest) break;
  }
  return text.slice(0, longest);
}
