import { fork } from 'node:child_process';
import { join } from 'node:path';
import { cpuSeconds, memoryBytes, processTree } from '../process-usage.ts';
import { clientKey } from './cadre.ts';
import type { Target } from './load.ts';
import { startLiteLLM } from './peers/litellm.ts';
import { startNginx } from './peers/nginx.ts';
import { startPortkey } from './peers/portkey.ts';

/** A program that runs, in one process or several. */
export interface Running extends Target {
  /** Their own, without those that they have started. */
  pids: readonly number[];
  stop(): Promise<void>;
}

/** How a program is started before a backend. */
export type Start = (backendPort: number, processes: number) => Promise<Running>;

/** What is compared, in the order of the table. */
export const programs: Readonly<Record<string, Start>> = {
  cadre: (port, processes) => startParts('cadre', port, processes, ['authorization', `Bearer ${clientKey}`]),
  bare: (port, processes) => startParts('bare', port, processes),
  nginx: startNginx,
  portkey: startPortkey,
  litellm: startLiteLLM,
};

/** The backend, which is also the program `direct`: what is left when nothing is between. */
export function startBackend(): Promise<Running> {
  return startParts('backend', 0, 1);
}

/** Starts processes of our own, each of which tells its port. `script`: what they run. */
export async function startParts(
  part: string,
  backendPort: number,
  processes: number,
  headers: string[] = [],
  script: string = join(import.meta.dirname, 'part.ts'),
): Promise<Running> {
  const children = Array.from({ length: processes }, () => {
    return fork(script, [part, String(backendPort)], { stdio: 'inherit' });
  });
  const ports = await Promise.all(
    children.map((child) => {
      return new Promise<number>((resolve, reject) => {
        child.once('message', (told) => resolve((told as { port: number }).port));
        child.once('exit', (code) => reject(new Error(`${part} ended with ${code} before it listened`)));
      });
    }),
  );
  return {
    ports,
    headers,
    pids: children.map(({ pid = 0 }) => pid),
    async stop() {
      for (const child of children) {
        const ended = new Promise((resolve) => child.once('exit', resolve));
        child.removeAllListeners('message');
        if (child.kill('SIGKILL')) await ended;
      }
    },
  };
}

/** What a program has used so far, with all that it has started. */
export async function usageOf({ pids }: Running): Promise<{ cpuSeconds: number; peak: number; now: number }> {
  const trees = await Promise.all(pids.map(processTree));
  const used = { cpuSeconds: 0, peak: 0, now: 0 };
  for (const pid of new Set(trees.flat())) {
    const memory = await memoryBytes(pid);
    used.cpuSeconds += await cpuSeconds(pid);
    used.peak += memory.peak;
    used.now += memory.now;
  }
  return used;
}
