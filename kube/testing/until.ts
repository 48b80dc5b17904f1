/** Resolves when the condition holds; rejects with what was waited for when it still does not after `timeoutMs`. */
export async function until(what: string, holds: () => unknown, timeoutMs = 15_000): Promise<void> {
  const end = performance.now() + timeoutMs;
  while (!holds()) {
    if (performance.now() > end) throw new Error(`not within ${timeoutMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
