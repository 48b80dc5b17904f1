import { open, readFile, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import { isSafePath } from './sources/safe-path.ts';

/** Written last into a model's folder: the folder is complete, and this is what it holds. */
const markerSchema = z.object({
  version: z.literal(1),
  /** What was asked for; another request does not find its model here. */
  uri: z.string(),
  revision: z.string().optional(),
  sha256: z.string().optional(),
  engine: z.string(),
  commit: z.string().optional(),
  /** `sha256:…` of the one file. */
  digest: z.string().optional(),
  /** In a shared folder others may have written this: files that are listed here and not wanted any more get deleted. */
  files: z.array(z.object({ path: z.string().refine(isSafePath), size: z.int().min(0) })),
});
export type Marker = z.infer<typeof markerSchema>;
export type Request = Pick<Marker, 'uri' | 'revision' | 'sha256' | 'engine'>;

const markerName = '.cadre-model.json';

/** The marker of a folder, whatever request it answers; undefined where there is none that can be read. */
export async function readMarker(folder: string): Promise<Marker | undefined> {
  try {
    return markerSchema.parse(JSON.parse(await readFile(join(folder, markerName), 'utf8')));
  } catch {
    return undefined;
  }
}

/** The marker, when it answers this request and its files still have their sizes. */
export async function completeFor(folder: string, request: Request): Promise<Marker | undefined> {
  const marker = await readMarker(folder);
  if (marker === undefined) return undefined;
  for (const key of ['uri', 'revision', 'sha256', 'engine'] as const)
    if (marker[key] !== request[key]) return undefined;
  for (const { path, size } of marker.files) {
    const found = await stat(join(folder, path)).catch(() => undefined);
    if (found?.size !== size) return undefined;
  }
  return marker;
}

export async function removeMarker(folder: string): Promise<void> {
  await rm(join(folder, markerName), { force: true });
}

/** In place in whole or not at all, and on the disk before it is seen. */
export async function writeMarker(folder: string, marker: Marker): Promise<void> {
  const path = join(folder, markerName);
  const temporary = `${path}.${process.pid}.tmp`;
  const file = await open(temporary, 'w', 0o644);
  try {
    await file.writeFile(JSON.stringify(marker, undefined, 2));
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(temporary, path);
  await syncFolder(dirname(path));
}

/** A rename outlives a crash only once its folder is on the disk. Some network file systems can't, and need not. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } catch (error) {
    if (!['EINVAL', 'ENOTSUP', 'EISDIR', 'EPERM'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
  } finally {
    await handle.close();
  }
}
