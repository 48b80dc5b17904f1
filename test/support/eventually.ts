import { errorMessage } from '../../process/errors.ts';

/**
 * Asks `probe` until it does not throw, and gives its answer. After `timeoutMs` the last error is thrown, with what was
 * waited for: a test that waits for a condition says which.
 */
export async function eventually<T>(what: string, probe: () => T | Promise<T>, timeoutMs = 60_000): Promise<T> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    try {
      return await probe();
    } catch (error) {
      if (performance.now() > deadline) {
        throw new Error(`after ${timeoutMs / 1000} s still waiting for ${what}: ${errorMessage(error)}`, {
          cause: error,
        });
      }
    }
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}
