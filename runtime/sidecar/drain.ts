import { setTimeout as sleep } from 'node:timers/promises';

export interface DrainOptions {
  /** Until endpoints have spread: new requests still arrive meanwhile. In milliseconds. */
  delayMs: number;
  /** For the whole drain, the delay included. */
  deadlineMs: number;
  pollMs: number;
  /** Requests in flight; `Gone` when no engine is there; undefined when it can't be known. */
  inFlight: () => Promise<number | 'Gone' | undefined>;
  signal: AbortSignal;
}

export interface DrainResult {
  /** Nothing was in flight any more. */
  drained: boolean;
  /** What the last look saw; null where it saw nothing. */
  inFlight: number | null;
  seconds: number;
}

/** One look may fall between two requests of one client; two in a row do not. */
const quietLooks = 2;

/** Waits until the engine has nothing in flight. What can't be known is not nothing: then it waits for the deadline. */
export async function drain({ delayMs, deadlineMs, pollMs, inFlight, signal }: DrainOptions): Promise<DrainResult> {
  const began = performance.now();
  const left = (): number => began + deadlineMs - performance.now();
  const pause = (ms: number): Promise<unknown> =>
    sleep(Math.max(0, Math.min(ms, left())), undefined, { signal }).catch(() => undefined);
  await pause(delayMs);
  let seen: number | null = null;
  for (let quiet = 0; !signal.aborted && left() > 0; ) {
    const now = await inFlight();
    seen = now === 'Gone' ? 0 : (now ?? null);
    quiet = seen === 0 ? quiet + 1 : 0;
    if (quiet === quietLooks) return { drained: true, inFlight: 0, seconds: seconds(began) };
    await pause(pollMs);
  }
  return { drained: false, inFlight: seen, seconds: seconds(began) };
}

function seconds(began: number): number {
  return Math.round((performance.now() - began) / 100) / 10;
}
