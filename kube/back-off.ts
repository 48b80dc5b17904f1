/** Waits that double with each failure, up to a limit, and never the same for all who wait. */
export class BackOff {
  readonly #baseMs: number;
  #failures = 0;

  constructor(baseMs: number) {
    this.#baseMs = baseMs;
  }

  get failures(): number {
    return this.#failures;
  }

  /** The next wait, in milliseconds: between half and all of the doubled one, at most `maxMs`. */
  next(maxMs: number): number {
    const full = Math.min(this.#baseMs * 2 ** this.#failures, maxMs);
    this.#failures++;
    return full * (0.5 + Math.random() / 2);
  }

  reset(): void {
    this.#failures = 0;
  }
}

/** Resolves after so many milliseconds, or at once when the signal aborts. */
export function waitFor(ms: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const settle = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', settle);
      resolve();
    };
    const timer = setTimeout(settle, ms);
    signal.addEventListener('abort', settle, { once: true });
  });
}
