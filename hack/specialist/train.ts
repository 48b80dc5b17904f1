import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { z } from 'zod';
import { UserError } from '../../process/errors.ts';
import { cacheDir, type Log } from '../cache.ts';

const root = join(import.meta.dirname, '../..');

/** What to train, and with what. */
export interface Training {
  /** A module of `training/`, e.g. `ticket-triage`. */
  task: string;
  /** Decides the adapter's first weights and the order of examples. */
  seed: number;
  /** An interpreter with the packages of `training/requirements.txt`. */
  python: string;
  /** The GGUF file that the adapter is for. */
  base: string;
  log: Log;
  /** Aborting it interrupts the training, which keeps what it has done. */
  signal: AbortSignal;
}

const output = z.object({ folder: z.string(), adapter: z.string() });

/** Where a trained adapter lies. */
export type Trained = z.infer<typeof output>;

/**
 * Trains an adapter, or goes on with a training that was interrupted; of one that is done only the place is told.
 *
 * @throws UserError where it was interrupted (`Interrupted`) or failed.
 */
export async function train({ task, seed, python, base, log, signal }: Training): Promise<Trained> {
  const args = ['-m', 'training', '--task', task, '--seed', String(seed), '--base', base];
  const child = spawn(python, [...args, '--runs', cacheDir('specialist')], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'pipe'],
    // In a group of its own, so that Ctrl-C reaches it once, from here.
    detached: true,
    env: { ...process.env, PYTHONDONTWRITEBYTECODE: '1' },
  });
  const interrupt = (): boolean => child.kill('SIGINT');
  signal.addEventListener('abort', interrupt, { once: true });
  process.once('exit', interrupt);
  const said: string[] = [];
  const told: string[] = [];
  createInterface({ input: child.stdout }).on('line', (line) => told.push(line));
  createInterface({ input: child.stderr }).on('line', (line) => {
    said.push(line);
    log(line);
  });
  try {
    if (signal.aborted) interrupt();
    const code = await new Promise((resolve, reject) => child.once('error', reject).once('close', resolve));
    if (code === 0) return output.parse(JSON.parse(told.at(-1) ?? 'null'));
    if (signal.aborted) throw new UserError('Interrupted', 'the training was interrupted');
    throw new UserError(
      'TrainingFailed',
      `the training ended with code ${String(code)}:\n${said.slice(-20).join('\n')}`,
    );
  } finally {
    signal.removeEventListener('abort', interrupt);
    process.removeListener('exit', interrupt);
  }
}
