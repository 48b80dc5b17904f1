import type { Logger } from './logger.ts';

/**
 * A signal that aborts on the first SIGTERM or SIGINT, so that work can end in order. A second one exits at once with
 * 128 + the signal's number, as shells expect.
 */
export function shutdownSignal(log: Logger): AbortSignal {
  const controller = new AbortController();
  const numbers = { SIGINT: 2, SIGTERM: 15 } as const;
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      if (controller.signal.aborted) process.exit(128 + numbers[signal]);
      log.info({ signal }, 'shutting down');
      controller.abort();
    });
  }
  return controller.signal;
}

/** Resolves when the signal aborts, or at once when it has. */
export function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}
