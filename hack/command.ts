import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { UserError } from '../process/errors.ts';
import type { Log } from './cache.ts';

export interface CommandOptions {
  log: Log;
  /** Said every 15 seconds while the command runs, with the time that has passed. */
  doing: string | (() => string);
  cwd?: string;
  env?: NodeJS.ProcessEnv;
  /** Sees each line of the command's standard error; those for which it gives true are left out of a failure's message. */
  onLine?: (line: string) => boolean;
  /** What to do when there is no such command. */
  install: string;
}

/** Runs a command to its end and gives its standard output; a failure is a `UserError` with the end of what it said. */
export async function runCommand(command: string, args: string[], options: CommandOptions): Promise<string> {
  const { log, doing, cwd, env, onLine, install } = options;
  const began = Date.now();
  const child = spawn(command, args, {
    ...(cwd === undefined ? {} : { cwd }),
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const output: string[] = [];
  const complaints: string[] = [];
  createInterface({ input: child.stdout }).on('line', (line) => output.push(line));
  createInterface({ input: child.stderr }).on('line', (line) => {
    if (!onLine?.(line)) complaints.push(line);
  });
  const telling = setInterval(() => log(`${typeof doing === 'string' ? doing : doing()} (${elapsed(began)})`), 15_000);
  try {
    const code = await new Promise((resolve, reject) => child.once('error', reject).once('close', resolve));
    if (code === 0) return output.join('\n');
    const end = (complaints.length ? complaints : output).slice(-20).join('\n');
    throw new UserError('CommandFailed', `${command} ${args[0]} failed with exit code ${String(code)}:\n${end}`);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    throw new UserError('CommandMissing', `the command ${command} is missing: ${install}`);
  } finally {
    clearInterval(telling);
    child.kill();
  }
}

/** `12 s` or `6 min 15 s` since a time in milliseconds. */
export function elapsed(began: number, now = Date.now()): string {
  const seconds = Math.round((now - began) / 1000);
  return seconds < 100 ? `${seconds} s` : `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}
