import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import type { LoaderOptions } from '../../runtime/loader/options.ts';

/** A folder that goes away with the test: `await using folder = await temporaryFolder()`. */
export async function temporaryFolder(): Promise<AsyncDisposable & { path: string }> {
  const path = await mkdtemp(join(tmpdir(), 'cadre-loader-'));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
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
