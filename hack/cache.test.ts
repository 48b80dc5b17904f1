import { rm, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { temporaryFolder } from '../process/testing/temporary-folder.ts';
import { fillEntry, isIntact, withLock } from './cache.ts';

let folder: string;
beforeEach(async () => {
  const made = await temporaryFolder('cache');
  folder = made.path;
  return made.remove;
});

const fill = (entry: string): Promise<void> =>
  fillEntry(entry, async (into) => {
    await writeFile(join(into, 'program'), 'complete');
    return { files: ['program'] };
  });

describe('a cache entry', () => {
  it('is intact after it was filled, also when only the time of a file changed', async () => {
    const entry = join(folder, 'a');
    await fill(entry);
    expect(await isIntact(entry)).toBe(true);
    await utimes(join(entry, 'program'), 1, 1);
    expect(await isIntact(entry)).toBe(true);
  });

  it('is not intact when it does not exist, a file is missing, cut or altered at the same length', async () => {
    const entry = join(folder, 'a');
    expect(await isIntact(entry)).toBe(false);
    await fill(entry);
    await writeFile(join(entry, 'program'), 'cpmplete');
    expect(await isIntact(entry)).toBe(false);
    await fill(entry);
    await writeFile(join(entry, 'program'), 'comp');
    expect(await isIntact(entry)).toBe(false);
    await rm(join(entry, 'program'));
    expect(await isIntact(entry)).toBe(false);
  });

  it('is not there when filling it failed, and an older one is kept', async () => {
    const entry = join(folder, 'a');
    const failing = fillEntry(entry, async (into) => {
      await writeFile(join(into, 'program'), 'half');
      throw new Error('interrupted');
    });
    await expect(failing).rejects.toThrow('interrupted');
    expect(await isIntact(entry)).toBe(false);
    await fill(entry);
    await expect(fillEntry(entry, () => Promise.reject(new Error('interrupted')))).rejects.toThrow('interrupted');
    expect(await isIntact(entry)).toBe(true);
  });
});

describe.runIf(process.platform === 'linux')('a lock', () => {
  it('lets one at a time do the work', async () => {
    const order: string[] = [];
    const work = (name: string) => async (): Promise<void> => {
      order.push(`${name} starts`);
      await new Promise((resolve) => setImmediate(resolve));
      order.push(`${name} ends`);
    };
    const lines: string[] = [];
    await Promise.all(['a', 'b'].map((name) => withLock(folder, (line) => lines.push(line), work(name))));
    expect(order).toEqual(['a starts', 'a ends', 'b starts', 'b ends']);
    expect(lines).toEqual([`waiting for another process that works on ${folder}`]);
  });
});
