import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { pino } from 'pino';
import { temporaryFolder } from '../../process/testing/temporary-folder.ts';
import type { LoaderOptions } from '../../runtime/loader/options.ts';

/** An empty folder for a model, with room beside it for the termination message: `await using folder = await modelFolder()`. */
export async function modelFolder(): Promise<AsyncDisposable & { path: string }> {
  const around = await temporaryFolder('loader');
  const path = join(around.path, 'model');
  await mkdir(path);
  return { path, [Symbol.asyncDispose]: around.remove };
}

/** Options of a load into `to`, with short back-off and no log. */
export function loading(to: string, options: Partial<LoaderOptions> & Pick<LoaderOptions, 'uri'>): LoaderOptions {
  return {
    engine: 'LlamaCpp',
    to,
    hubEndpoint: 'http://127.0.0.1:9',
    shared: false,
    terminationLog: `${to}.termination`,
    log: pino({ level: 'silent' }),
    signal: new AbortController().signal,
    ...options,
    tuning: { retryDelayMs: 1, maxAttempts: 3, ...options.tuning },
  };
}
