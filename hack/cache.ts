import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { chmod, mkdir, mkdtemp, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';

/** Tells a person what is going on, one line at a time. */
export type Log = (line: string) => void;

/** Everything that can be fetched or built again: `$CADRE_CACHE`, or `cadre` in the user's cache folder. */
export function cacheDir(...parts: string[]): string {
  const { CADRE_CACHE, XDG_CACHE_HOME } = process.env;
  return join(CADRE_CACHE || join(XDG_CACHE_HOME || join(homedir(), '.cache'), 'cadre'), ...parts);
}

/** What a running cluster leaves on disk: `$CADRE_STATE`, or `cadre` in the user's state folder. */
export function stateDir(...parts: string[]): string {
  const { CADRE_STATE, XDG_STATE_HOME } = process.env;
  return join(CADRE_STATE || join(XDG_STATE_HOME || join(homedir(), '.local', 'state'), 'cadre'), ...parts);
}

/**
 * Runs `work` while no other process of this machine runs under the same name. The lock is an abstract socket, which the
 * kernel frees with its owner, however that ends; off Linux there is none, and concurrent callers do the work twice.
 */
export async function withLock<T>(name: string, log: Log, work: () => Promise<T>): Promise<T> {
  if (process.platform !== 'linux') return work();
  const server = createServer();
  for (let told = false; !(await listens(server, `\0cadre-${createHash('sha256').update(name).digest('hex')}`)); ) {
    if (!told) log(`waiting for another process that works on ${name}`);
    told = true;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  server.unref();
  try {
    return await work();
  } finally {
    await new Promise((resolve) => server.close(resolve));
  }
}

function listens(server: ReturnType<typeof createServer>, path: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const onError = (error: NodeJS.ErrnoException): void => {
      server.removeListener('listening', onListening);
      if (error.code === 'EADDRINUSE') resolve(false);
      else reject(error);
    };
    const onListening = (): void => {
      server.removeListener('error', onError);
      resolve(true);
    };
    server.once('error', onError).once('listening', onListening).listen(path);
  });
}

/** The files of a cache entry, by name relative to it, as they were when it was complete. */
type Manifest = Record<string, { size: number; mtimeMs: number; sha256: string }>;
const manifestName = 'manifest.json';

/**
 * True when the entry was completed and its files are what they were. Looks at sizes and times first and hashes only a
 * file that was touched since, so that the usual answer costs a few `stat` calls.
 */
export async function isIntact(entry: string): Promise<boolean> {
  let manifest: Manifest;
  try {
    manifest = JSON.parse(await readFile(join(entry, manifestName), 'utf8')) as Manifest;
  } catch {
    return false;
  }
  for (const [name, expected] of Object.entries(manifest)) {
    const path = join(entry, name);
    const now = await stat(path).catch(() => undefined);
    if (now?.size !== expected.size) return false;
    if (now.mtimeMs !== expected.mtimeMs && (await sha256File(path)) !== expected.sha256) return false;
  }
  return true;
}

/**
 * Makes a cache entry in whole or not at all: `fill` writes into a folder beside it, which takes the entry's place once it
 * is complete. `files` names those that `isIntact` will look at.
 */
export async function fillEntry(entry: string, fill: (folder: string) => Promise<{ files: string[] }>): Promise<void> {
  await mkdir(join(entry, '..'), { recursive: true });
  const folder = await mkdtemp(`${entry}.tmp-`);
  try {
    const { files } = await fill(folder);
    const manifest: Manifest = {};
    for (const name of files) {
      const { size, mtimeMs } = await stat(join(folder, name));
      manifest[name] = { size, mtimeMs, sha256: await sha256File(join(folder, name)) };
    }
    await writeFile(join(folder, manifestName), JSON.stringify(manifest, undefined, 2));
    await chmod(folder, 0o755);
    await rm(entry, { recursive: true, force: true });
    await rename(folder, entry);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** The SHA-256 of a file's content, in hexadecimal. */
export async function sha256File(path: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path, { highWaterMark: 1 << 20 }), hash);
  return hash.digest('hex');
}
