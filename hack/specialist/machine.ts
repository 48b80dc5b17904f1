import { mkdir, readFile, statfs } from 'node:fs/promises';
import { UserError } from '../../process/errors.ts';
import type { Log } from '../cache.ts';
import { runCommand } from '../command.ts';

/** What training and evaluation take, with some room: packages and models on disk, weights and activations in memory. */
export const needs = { diskGigabytes: 3, memoryGigabytes: 3, python: [3, 11] } as const;

/** What a machine has. */
export interface Machine {
  /** Free in the cache's folder, in bytes. */
  disk: number;
  /** Free for new processes, in bytes; undefined where the system does not tell. */
  memory: number | undefined;
  /** Of `python3`, e.g. `3.11.7`. */
  python: string;
}

/** Throws a `UserError` with everything that a machine lacks, a line each. */
export function checkMachine({ disk, memory, python }: Machine, folder: string): void {
  const [major = 0, minor = 0] = python.split('.').map(Number);
  const lacks: string[] = [];
  if (disk < needs.diskGigabytes * 1e9)
    lacks.push(
      `${folder} has ${gigabytes(disk)} GB free and needs ${needs.diskGigabytes}: free some, or set CADRE_CACHE to a folder on another disk`,
    );
  if (memory !== undefined && memory < needs.memoryGigabytes * 1e9)
    lacks.push(`${gigabytes(memory)} GB of memory are free, ${needs.memoryGigabytes} are needed: end other programs`);
  if (major < needs.python[0] || (major === needs.python[0] && minor < needs.python[1]))
    lacks.push(`python3 is ${python}, ${needs.python.join('.')} or newer is needed: put a newer one first in PATH`);
  if (lacks.length > 0) throw new UserError('MachineTooSmall', lacks.join('\n'));
}

/** Looks at this machine. `folder` is where the cache lies; it is made where there is none. */
export async function lookAtMachine(folder: string, log: Log): Promise<Machine> {
  await mkdir(folder, { recursive: true });
  const { bavail, bsize } = await statfs(folder);
  const python = await runCommand('python3', ['-c', 'import platform; print(platform.python_version())'], {
    log,
    doing: 'looking for Python',
    install: `install Python ${needs.python.join('.')} or newer with pip and venv (Debian: apt-get install python3-pip python3-venv)`,
  });
  return { disk: bavail * bsize, memory: await freeMemory(), python: python.trim() };
}

async function freeMemory(): Promise<number | undefined> {
  // Node's os.freemem() leaves out what the kernel would give back at once.
  const info = await readFile('/proc/meminfo', 'utf8').catch(() => '');
  const kilobytes = info.match(/^MemAvailable:\s+(\d+) kB$/m)?.[1];
  return kilobytes === undefined ? undefined : Number(kilobytes) * 1024;
}

function gigabytes(bytes: number): string {
  return (bytes / 1e9).toFixed(1);
}
