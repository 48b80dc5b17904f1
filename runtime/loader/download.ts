import { type FileHandle, mkdir, open, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { SourceField } from '../../crds/v1alpha1/model-source.ts';
import { errorMessage, type UserError } from '../../process/errors.ts';
import { digestOf, hashFile, startHash } from './digest.ts';
import type { HttpResponse } from './http.ts';
import { syncFolder } from './marker.ts';
import type { Progress } from './progress.ts';
import { loadError } from './report.ts';
import { fileError, type RetryOptions, retrying, TransientError } from './retry.ts';
import type { ModelSource, RemoteFile } from './sources/model-source.ts';

export interface DownloadOptions {
  folder: string;
  source: ModelSource;
  progress: Progress;
  retry: RetryOptions;
  /** Throws when another loader has taken the folder over, or a sibling's download failed. */
  assertOwned: () => void;
  /** Throws `DiskFull` when so many more bytes do not fit. */
  ensureSpace: (bytes: number) => Promise<void>;
}

/**
 * Brings one file into the folder: into `NAME.part` beside it, resumed where an earlier attempt or loader stopped, verified
 * against its digest, and only then renamed. A file that is there already and matches is kept. Resolves with its size.
 */
export async function downloadFile(file: RemoteFile, options: DownloadOptions): Promise<number> {
  const target = join(options.folder, file.path);
  try {
    await mkdir(dirname(target), { recursive: true });
    const present = await sizeOf(target);
    if (present !== undefined && (await matches(target, file, present))) {
      options.progress.add(present);
      return present;
    }
    const part = `${target}.part`;
    // Resumed bytes may be damaged, after a crash of the node for example; then the whole is loaded again, once.
    for (let again = (await sizeOf(part)) !== undefined; ; again = false) {
      const got = await fetchPart(file, part, options);
      if (got.hex === file.digest.hex) {
        await rename(part, target);
        await rm(`${part}.etag`, { force: true });
        await syncFolder(dirname(target));
        return got.size;
      }
      await discard(part);
      if (!again) throw mismatch(file, got.hex, options.source.field);
      options.retry.log.warn({ file: file.path }, 'the resumed file does not match its checksum; loading it again');
    }
  } catch (error) {
    throw fileError(error, target);
  }
}

async function matches(path: string, file: RemoteFile, size: number): Promise<boolean> {
  if (file.size !== undefined && file.size !== size) return false;
  return (await digestOf(path, file.digest.algorithm, size)) === file.digest.hex;
}

function mismatch(file: RemoteFile, hex: string, field: SourceField): UserError {
  const { algorithm, hex: expected } = file.digest;
  const cure = `correct ${field}.sha256, or find out who changed the file`;
  const name = algorithm === 'sha256' ? 'SHA-256' : 'Git hash';
  return loadError('ChecksumMismatch', `${file.path} has ${name} ${hex}, expected ${expected}: ${cure}`);
}

async function discard(part: string): Promise<void> {
  await rm(part, { force: true });
  await rm(`${part}.etag`, { force: true });
}

/** Fills the part file to its end, over as many requests as it takes, and hashes it on the way. */
async function fetchPart(
  file: RemoteFile,
  part: string,
  options: DownloadOptions,
): Promise<{ hex: string; size: number }> {
  let at = (await sizeOf(part)) ?? 0;
  options.progress.add(at);
  return retrying(
    `downloading ${file.path}`,
    options.retry,
    async () => {
      const handle = await openPart(part);
      try {
        at = (await handle.stat()).size;
        if (file.size !== undefined && at > file.size) at = 0;
        const hash = startHash(file.digest.algorithm, file.size);
        const write = async (chunk: Buffer): Promise<void> => {
          options.assertOwned();
          await writeAll(handle, chunk, at);
          hash.update(chunk);
          at += chunk.length;
          options.progress.add(chunk.length);
        };
        if (file.size === undefined || at < file.size) {
          const response = await requestFrom(file, part, at, options);
          if (response === 'complete') await hashFile(hash, part, at, options.retry.signal);
          else {
            if (response.status === 200 && at > 0) {
              await handle.truncate(0);
              at = 0;
            }
            await options.ensureSpace((totalSize(response) ?? at) - at);
            await hashFile(hash, part, at, options.retry.signal);
            await receive(file, response, () => at, write);
          }
        } else {
          await hashFile(hash, part, at, options.retry.signal);
        }
        await handle.truncate(at);
        await handle.sync();
        return { hex: hash.digest('hex'), size: at };
      } finally {
        await handle.close();
      }
    },
    () => at,
  );
}

function openPart(part: string): Promise<FileHandle> {
  return open(part, 'r+').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return open(part, 'wx+', 0o644);
    throw error;
  });
}

async function writeAll(handle: FileHandle, chunk: Buffer, position: number): Promise<void> {
  for (let done = 0; done < chunk.length; )
    done += (await handle.write(chunk, done, chunk.length - done, position + done)).bytesWritten;
}

/** Asks for the file from a byte on. `complete`: the server says that there is nothing after it. */
async function requestFrom(
  file: RemoteFile,
  part: string,
  from: number,
  { source, retry }: DownloadOptions,
): Promise<HttpResponse | 'complete'> {
  const etag = from > 0 ? await readFile(`${part}.etag`, 'utf8').catch(() => undefined) : undefined;
  // Without If-Range a changed file would be mixed with the old one; the digest would tell, but only at the end.
  const headers = from > 0 ? { range: `bytes=${from}-`, ...(etag ? { 'if-range': etag } : {}) } : {};
  const response = await source.get(file.url, headers);
  if (response.status === 416) {
    await response.body.dump();
    if (response.headers['content-range'] === `bytes */${from}`) return 'complete';
    await discard(part);
    throw new TransientError(`${file.path}: the server does not continue at byte ${from}`);
  }
  if (response.status !== 200 && response.status !== 206) {
    await response.body.dump();
    throw source.refusal(response, file.path);
  }
  if (response.status === 206 && !response.headers['content-range']?.startsWith(`bytes ${from}-`)) {
    response.body.destroy();
    await discard(part);
    throw new TransientError(`${file.path}: the server answered another range than the one from byte ${from}`);
  }
  const strong = response.headers['etag'];
  if (strong?.startsWith('"')) await writeFile(`${part}.etag`, strong);
  else await rm(`${part}.etag`, { force: true });
  if (from > 0) retry.log.info({ file: file.path, from, resumed: response.status === 206 }, 'resuming a download');
  return response;
}

async function receive(
  file: RemoteFile,
  response: HttpResponse,
  at: () => number,
  write: (chunk: Buffer) => Promise<void>,
): Promise<void> {
  const total = totalSize(response) ?? file.size;
  const body = response.body[Symbol.asyncIterator]();
  try {
    for (;;) {
      const next = await body.next().catch((error: unknown) => {
        throw new TransientError(`${file.path} stopped at byte ${at()}: ${errorMessage(error)}`, { cause: error });
      });
      if (next.done) break;
      const chunk = next.value as Buffer;
      if (file.size !== undefined && at() + chunk.length > file.size)
        throw loadError(
          'ChecksumMismatch',
          `${file.path} is longer than the ${file.size} bytes that the source promised`,
        );
      await write(chunk);
    }
  } finally {
    response.body.destroy();
  }
  if (total !== undefined && at() < total) throw new TransientError(`${file.path} ended at byte ${at()} of ${total}`);
}

function totalSize({ status, headers }: HttpResponse): number | undefined {
  const text = status === 206 ? headers['content-range']?.split('/')[1] : headers['content-length'];
  return text !== undefined && /^\d+$/.test(text) ? Number(text) : undefined;
}

async function sizeOf(path: string): Promise<number | undefined> {
  const found = await stat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return undefined;
    throw error;
  });
  return found?.size;
}
