import { rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { downloadFile } from './download.ts';
import { completeFor, type Marker, type Request, readMarker, removeMarker, writeMarker } from './marker.ts';
import { progressLog } from './progress.ts';
import { loadError } from './report.ts';
import type { RetryOptions } from './retry.ts';
import { withSharedLock } from './shared-lock.ts';
import type { ModelSource, RemoteFile } from './sources/model-source.ts';

export interface Placement {
  request: Request;
  /** Receives the files. */
  folder: string;
  /** Looks at what has come, before it counts as complete. */
  verify: () => Promise<void>;
  source: ModelSource;
  shared: boolean;
  leaseMs: number;
  freeBytes: (folder: string) => Promise<number>;
  retry: RetryOptions;
}

const filesAtOnce = 4;

/** Fills a folder from a source unless it is complete; the marker is written last, so that a crash leaves no half model. */
export async function placeRemote(placement: Placement): Promise<{ digest?: string; bytes: number }> {
  const { folder, request, shared, leaseMs, retry } = placement;
  const finished = (): Promise<Marker | undefined> => completeFor(folder, request);
  const marker =
    (await finished()) ??
    (shared
      ? await withSharedLock({ folder, leaseMs, ...retry, finished }, (assertOwned) => fill(placement, assertOwned))
      : await fill(placement, () => undefined));
  const bytes = marker.files.reduce((sum, { size }) => sum + size, 0);
  return marker.digest === undefined ? { bytes } : { bytes, digest: marker.digest };
}

async function fill(placement: Placement, assertOwned: () => void): Promise<Marker> {
  const { folder, request, retry, source, verify } = placement;
  const { files, commit } = await source.list();
  if (files.length === 0)
    throw loadError('InvalidModel', `${request.uri} holds no files that ${request.engine} could serve`);
  const before = await readMarker(folder);
  await removeMarker(folder);
  for (const { path } of before?.files ?? [])
    if (!files.some((file) => file.path === path)) await rm(join(folder, path), { force: true });

  const known = files.map(({ size }) => size).filter((size) => size !== undefined);
  const total = known.length === files.length ? known.reduce((sum, size) => sum + size, 0) : undefined;
  retry.log.info({ uri: request.uri, commit, files: files.length, bytes: total }, 'loading the model');
  const ensureSpace = (bytes: number): Promise<void> => requireSpace(bytes, placement);
  if (total !== undefined) await ensureSpace(total - (await bytesPresent(folder, files)));

  const progress = progressLog(retry.log, total);
  const sizes = await atMost(filesAtOnce, files, (file, assertRunning) =>
    downloadFile(file, {
      folder,
      source,
      progress,
      retry,
      ensureSpace,
      assertOwned: () => {
        assertOwned();
        assertRunning();
      },
    }),
  );
  await verify();
  assertOwned();
  const only = files.length === 1 ? files[0] : undefined;
  const marker: Marker = {
    version: 1,
    ...request,
    ...(commit === undefined ? {} : { commit }),
    ...(only?.digest.algorithm === 'sha256' ? { digest: `sha256:${only.digest.hex}` } : {}),
    files: files.map(({ path }, at) => ({ path, size: sizes[at] ?? 0 })),
  };
  await writeMarker(folder, marker);
  return marker;
}

async function requireSpace(bytes: number, { folder, freeBytes, request }: Placement): Promise<void> {
  if (bytes <= 0) return;
  const free = await freeBytes(folder);
  if (free >= bytes) return;
  throw loadError(
    'DiskFull',
    `${request.uri} needs ${bytes} more bytes and ${folder} has ${free} free: use a bigger volume or node disk`,
  );
}

async function bytesPresent(folder: string, files: RemoteFile[]): Promise<number> {
  const sizeOf = (path: string): Promise<number> =>
    stat(path).then(
      ({ size }) => size,
      () => 0,
    );
  const sizes = await Promise.all(
    files.map(async ({ path }) => (await sizeOf(join(folder, path))) || (await sizeOf(join(folder, `${path}.part`)))),
  );
  return sizes.reduce((sum, size) => sum + size, 0);
}

/** Works on a few items at a time. After the first failure the others stop at their next step, and that failure is thrown. */
async function atMost<T, R>(
  limit: number,
  items: T[],
  work: (item: T, assertRunning: () => void) => Promise<R>,
): Promise<R[]> {
  const results: R[] = [];
  let next = 0;
  const failures: unknown[] = [];
  const assertRunning = (): void => {
    if (failures.length > 0) throw new Error('another file of the model failed');
  };
  const worker = async (): Promise<void> => {
    while (next < items.length && failures.length === 0) {
      const at = next++;
      try {
        results[at] = await work(items[at] as T, assertRunning);
      } catch (error) {
        failures.push(error);
      }
    }
  };
  await Promise.all(Array.from({ length: limit }, worker));
  if (failures.length > 0) throw failures[0];
  return results;
}
