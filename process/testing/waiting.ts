import { errorMessage } from '../errors.ts';

/**
 * Asks `probe` until it does not throw, and gives its answer. After `timeoutMs` the last error is thrown, with what was
 * waited for: a test that waits for a condition says which.
 */
export async function eventually<T>(what: string, probe: () => T | Promise<T>, timeoutMs = 60_000): Promise<T> {
  const deadline = performance.now() + timeoutMs;
  // What is quick is seen quickly, and what takes long is not asked all the time.
  for (let pauseMs = 10; ; pauseMs = Math.min(2 * pauseMs, 200)) {
    try {
      return await probe();
    } catch (error) {
      if (performance.now() > deadline) {
        throw new Error(`after ${timeoutMs / 1000} s still waiting for ${what}: ${errorMessage(error)}`, {
          cause: error,
        });
      }
    }
    await pause(pauseMs);
  }
}

/** Resolves when a condition of this process holds; rejects with what was waited for when it still does not after `timeoutMs`. */
export async function until(what: string, holds: () => unknown, timeoutMs = 15_000): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while (!holds()) {
    if (performance.now() > deadline) throw new Error(`not within ${timeoutMs} ms: ${what}`);
    await pause(5);
  }
}

/** Looks until it sees a value that satisfies, and gives that; fails with the last one, and at once when `look` throws. */
export async function untilSeen<T>(
  look: () => Promise<T>,
  satisfies: (value: T) => boolean,
  timeoutMs = 30_000,
): Promise<T> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const value = await look();
    if (satisfies(value)) return value;
    if (performance.now() > deadline)
      throw new Error(`still not so after ${timeoutMs / 1000} s: ${JSON.stringify(value)}`);
    await pause(20);
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
