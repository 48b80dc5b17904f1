import { setTimeout as sleep } from 'node:timers/promises';
import { UserError } from '../../process/errors.ts';

export function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

/** Waits until it is done and tells every ten seconds that it waits, and how far it is. */
export async function until(
  what: string,
  seconds: number,
  done: () => boolean | Promise<boolean>,
  so = (): string => '',
): Promise<void> {
  const began = performance.now();
  let told = began;
  while (!(await done())) {
    const now = performance.now();
    if (now - began > seconds * 1000) throw new UserError('TimedOut', `waited ${seconds} s for ${what} ${so()}`);
    if (now - told > 10_000) {
      say(`waiting for ${what} ${so()}`);
      told = now;
    }
    await sleep(50);
  }
}
