import { existsSync, globSync } from 'node:fs';
import { chmod, copyFile, link, mkdir, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { type Log, sha256File } from '../cache.ts';
import { ensureModels } from '../engines/models.ts';

const examples = join(import.meta.dirname, '../../examples');

/**
 * Fills the folder that volumes offer: the weights under plain names, and the adapter of each example in a folder of the
 * example's name. A file that changes is replaced by another one, so that what is mounted and open stays as it is.
 */
export async function fillModelFolder(folder: string, log: Log): Promise<void> {
  await mkdir(folder, { recursive: true });
  for (const path of Object.values(await ensureModels(log))) {
    const target = join(folder, basename(path));
    // They never change under their names.
    if (existsSync(target) && (await stat(target)).size === (await stat(path)).size) continue;
    await place(target, (part) => link(path, part).catch(() => copyFile(path, part)));
  }
  for (const adapter of globSync('*/adapter.gguf', { cwd: examples })) {
    const [source, target] = [join(examples, adapter), join(folder, adapter)];
    if (existsSync(target) && (await sha256File(target)) === (await sha256File(source))) continue;
    await mkdir(dirname(target), { recursive: true });
    // A copy, for training writes the file in the checkout again.
    await place(target, (part) => copyFile(source, part));
    log(`offering the adapter ${adapter}`);
  }
}

async function place(target: string, write: (part: string) => Promise<void>): Promise<void> {
  const part = `${target}.part`;
  await rm(part, { force: true });
  await write(part);
  await chmod(part, 0o644);
  await rename(part, target);
}
