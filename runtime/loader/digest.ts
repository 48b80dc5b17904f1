import { createHash, type Hash } from 'node:crypto';
import { createReadStream } from 'node:fs';

/** How a source names a file's content. The hub gives SHA-256 for large files and Git's blob hash for small ones. */
export interface Digest {
  algorithm: 'sha256' | 'gitSha1';
  /** Lower case. */
  hex: string;
}

/** A running hash of a file of `size` bytes: Git puts the size before the content. */
export function startHash(algorithm: Digest['algorithm'], size: number | undefined): Hash {
  if (algorithm === 'sha256') return createHash('sha256');
  if (size === undefined) throw new RangeError('the hash of a Git blob needs its size');
  return createHash('sha1').update(`blob ${size}\0`);
}

/** Feeds the first `end` bytes of a file to a hash; all of it when `end` is left out. */
export async function hashFile(hash: Hash, path: string, end?: number, signal?: AbortSignal): Promise<void> {
  if (end === 0) return;
  const range = end === undefined ? {} : { end: end - 1 };
  const stream = createReadStream(path, { highWaterMark: 1 << 20, ...range, ...(signal ? { signal } : {}) });
  for await (const chunk of stream) hash.update(chunk as Buffer);
}

/** Lower-case hexadecimal hash of a whole file. */
export async function digestOf(path: string, algorithm: Digest['algorithm'], size: number): Promise<string> {
  const hash = startHash(algorithm, size);
  await hashFile(hash, path);
  return hash.digest('hex');
}
