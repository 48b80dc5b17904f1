import { setTimeout as sleep } from 'node:timers/promises';
import { errorMessage, UserError } from '../../process/errors.ts';
import type { Logger } from '../../process/logger.ts';
import { loadError } from './report.ts';

/** A failure that another attempt may cure. */
export class TransientError extends Error {
  override readonly name = 'TransientError';
  /** When the server asked to come back, in milliseconds. */
  readonly retryAfterMs: number | undefined;

  constructor(message: string, options?: ErrorOptions & { retryAfterMs?: number | undefined }) {
    super(message, options);
    this.retryAfterMs = options?.retryAfterMs;
  }
}

export interface RetryOptions {
  log: Logger;
  signal: AbortSignal;
  retryDelayMs: number;
  maxAttempts: number;
}

const longestDelayMs = 30_000;
/** More than this gained since the last failure counts as progress: a slow line must not use the attempts up. */
const progressBytes = 8 * 2 ** 20;

/**
 * Repeats `attempt` while it fails with a `TransientError`, with exponential back-off and jitter. After `maxAttempts`
 * failures in a row it gives up with `DownloadFailed`, and the kubelet's own back-off takes over. `position` tells how far
 * the work has come, in bytes.
 */
export async function retrying<T>(
  what: string,
  options: RetryOptions,
  attempt: () => Promise<T>,
  position: () => number = () => 0,
): Promise<T> {
  const { log, signal, retryDelayMs, maxAttempts } = options;
  let failures = 0;
  let before = position();
  for (;;) {
    try {
      signal.throwIfAborted();
      return await attempt();
    } catch (error) {
      if (signal.aborted) throw loadError('Interrupted', 'the loader was told to stop; the next one resumes', error);
      if (!(error instanceof TransientError)) throw error;
      const now = position();
      failures = now - before > progressBytes ? 1 : failures + 1;
      before = now;
      if (failures >= maxAttempts) {
        throw loadError(
          'DownloadFailed',
          `${what} failed ${failures} times: ${errorMessage(error)}; check that the host can be reached from the pod`,
          error,
        );
      }
      const backOff = Math.min(longestDelayMs, retryDelayMs * 2 ** (failures - 1)) * (0.5 + Math.random() / 2);
      const delayMs = Math.round(error.retryAfterMs ?? backOff);
      log.warn({ attempt: failures, maxAttempts, delayMs, err: errorMessage(error) }, `${what} failed, will try again`);
      await sleep(delayMs, undefined, { signal }).catch(() => undefined);
    }
  }
}

/** A file system's error as one that says what to do; anything else unchanged. */
export function fileError(error: unknown, path: string): unknown {
  if (error instanceof UserError) return error;
  const code = (error as NodeJS.ErrnoException | undefined)?.code;
  if (code === 'ENOSPC' || code === 'EDQUOT')
    return loadError(
      'DiskFull',
      `no space left for ${path}: use a bigger volume or raise the ephemeral-storage limit`,
      error,
    );
  if (code === 'EACCES' || code === 'EROFS' || code === 'EPERM')
    return loadError(
      'NotWritable',
      `cannot write ${path} (${code}): the volume must be writable for the loader's user`,
      error,
    );
  return error;
}
