import { randomUUID } from 'node:crypto';
import { open, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from '../../process/logger.ts';
import { loadError } from './report.ts';

export interface SharedLockOptions<T> {
  folder: string;
  leaseMs: number;
  log: Logger;
  signal: AbortSignal;
  /** Looked at while waiting: what the owner was working for, once it is there. */
  finished: () => Promise<T | undefined>;
}

/** Another loader judged this one dead and took the folder over. */
class LockLostError extends Error {
  override readonly name = 'LockLostError';
}

const lockPattern = /^\.cadre-lock\.(\d+)$/;
const released = 'released';

/**
 * Runs `work` in at most one of the loaders that share a folder, which may be on different nodes. `flock` can't be trusted
 * on every network file system, and neither can clocks be compared, so the lock is a row of files `.cadre-lock.N`: the
 * highest number owns the folder, its owner changes the content as a heartbeat, and whoever sees no change for a lease, by
 * its own clock, takes over by creating N+1, which only one can. Nothing is ever renamed or removed under a live owner.
 */
export async function withSharedLock<T>(
  options: SharedLockOptions<T>,
  work: (assertOwned: () => void) => Promise<T>,
): Promise<T> {
  for (;;) {
    const got = await acquire(options);
    if (got === undefined) continue;
    if ('finished' in got) return got.finished;
    const lock = heldLock(options.folder, got.acquired, options.leaseMs, options.log);
    try {
      // It may have been finished between the last look and the lock.
      return (await options.finished()) ?? (await work(() => lock.assertOwned()));
    } catch (error) {
      if (!(error instanceof LockLostError)) throw error;
      options.log.warn('another loader took the shared folder over; waiting for it');
    } finally {
      await lock.release();
    }
  }
}

async function acquire<T>(options: SharedLockOptions<T>): Promise<{ acquired: number } | { finished: T } | undefined> {
  const { folder, leaseMs, log, signal } = options;
  let seen = '';
  let since = performance.now();
  let told = 0;
  for (;;) {
    if (signal.aborted) throw loadError('Interrupted', 'the loader was told to stop while another one was loading');
    const finished = await options.finished();
    if (finished !== undefined) return { finished };
    const top = await topLock(folder);
    if (top === 0) return (await create(folder, 1)) ? { acquired: 1 } : undefined;
    // Reading, not stat: opening a file makes NFS look at the server.
    const content = await readFile(lockPath(folder, top), 'utf8').catch(() => '');
    const now = performance.now();
    if (`${top} ${content}` !== seen) {
      seen = `${top} ${content}`;
      since = now;
    }
    if (content === released || now - since > leaseMs) {
      if (content !== released)
        log.warn({ lock: top, owner: content }, 'the owner of the shared folder shows no life; taking over');
      return (await create(folder, top + 1)) ? { acquired: top + 1 } : undefined;
    }
    if (now - told > 10_000) {
      log.info({ owner: content.split(' ')[0] }, 'waiting for another loader that fills the shared folder');
      told = now;
    }
    await sleep(Math.min(1_000, leaseMs / 10), undefined, { signal }).catch(() => undefined);
  }
}

function heldLock(folder: string, number: number, leaseMs: number, log: Logger) {
  const owner = `${hostname()}/${process.pid}/${randomUUID()}`;
  const path = lockPath(folder, number);
  let beat = performance.now();
  let beats = 0;
  let lost = false;
  let beating: Promise<void> = Promise.resolve();

  async function heartbeat(): Promise<void> {
    try {
      if ((await topLock(folder)) > number) lost = true;
      else {
        await writeFile(path, `${owner} ${++beats}`);
        beat = performance.now();
      }
    } catch (error) {
      log.warn({ err: error }, 'could not renew the lock of the shared folder');
    }
  }

  beating = heartbeat();
  const timer = setInterval(() => {
    beating = beating.then(heartbeat);
  }, leaseMs / 6);
  return {
    assertOwned(): void {
      // Half a lease without a heartbeat (a paused machine, a hanging file system): others may be about to take over.
      if (lost || performance.now() - beat > leaseMs / 2)
        throw new LockLostError('the lock of the shared folder was lost');
    },
    async release(): Promise<void> {
      clearInterval(timer);
      await beating;
      if (lost) return;
      await writeFile(path, released);
      for (let old = number - 1; old > 0 && old > number - 10; old--) await rm(lockPath(folder, old), { force: true });
    },
  };
}

function lockPath(folder: string, number: number): string {
  return join(folder, `.cadre-lock.${number}`);
}

async function topLock(folder: string): Promise<number> {
  const top = Math.max(0, ...(await readdir(folder)).map((name) => Number(lockPattern.exec(name)?.[1] ?? 0)));
  // From there on N and N+1 are the same number, and the row would never end.
  if (top >= Number.MAX_SAFE_INTEGER)
    throw loadError(
      'NotWritable',
      `a lock file .cadre-lock.N has a number to which no loader can have counted: remove it from ${folder}`,
    );
  return top;
}

/** Exactly one caller creates a given number. */
async function create(folder: string, number: number): Promise<boolean> {
  try {
    await (await open(lockPath(folder, number), 'wx', 0o644)).close();
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}
