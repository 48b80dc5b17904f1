import { hash } from 'node:crypto';
import type { Route } from '../../../crds/route-table.ts';
import { isObject } from '../answers/document.ts';
import type { LiveBackend, Share } from '../routes/table.ts';
import type { Exchange } from './exchange.ts';

/** What requests that belong together have in common; undefined where a request does not have it. */
export function stickyValue(
  { by, header = '' }: NonNullable<Route['sticky']>,
  { body, request }: Pick<Exchange, 'body' | 'request'>,
): string | undefined {
  if (by === 'User') return textOf(body['user']) ?? textOf(body['safety_identifier']);
  if (by === 'Header') return textOf(request.headers[header]);
  return beginning(body['messages']);
}

/** A chat up to its first message of the user, which stays the same however long it becomes. */
function beginning(messages: unknown): string | undefined {
  if (!Array.isArray(messages)) return undefined;
  const first = messages.findIndex((message) => isObject(message) && message['role'] === 'user');
  return first < 0 ? undefined : JSON.stringify(messages.slice(0, first + 1));
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}

/**
 * The backend of a value, by weighted rendezvous hashing (Thaler and Ravishankar 1998; weights as by Schindelhauer and
 * Schomaker 2005): each backend draws a number in (0, 1) from the value and its own name, and the least of −ln(number) /
 * weight wins. Every replica chooses alike, each backend gets its share of the values, and when weights change no value moves
 * but to a backend whose share grew. Undefined if all weights are 0.
 */
export function stickyChoice(shares: readonly Share[], value: string): LiveBackend | undefined {
  let best: LiveBackend | undefined;
  let least = Number.POSITIVE_INFINITY;
  for (const { live, weight } of shares) {
    if (weight === 0) continue;
    const score = -Math.log(draw(`${live.name}\n${value}`)) / weight;
    if (score < least) {
      least = score;
      best = live;
    }
  }
  return best;
}

/** A number in (0, 1) that follows from the text: the middle of one of 2^48 stretches. */
function draw(text: string): number {
  return (hash('sha1', text, 'buffer').readUIntBE(0, 6) + 0.5) / 2 ** 48;
}
