import { readdir, realpath, stat } from 'node:fs/promises';
import { join, sep } from 'node:path';
import type { PvcUri } from '../../../crds/model-uri.ts';
import type { SourceField } from '../../../crds/v1alpha1/model-source.ts';
import { digestOf } from '../digest.ts';
import { loadError } from '../report.ts';

/**
 * Finds a model or an adapter that stands in a mounted claim: nothing is downloaded. A symbolic link may lead elsewhere in the claim,
 * but not out of it. Resolves with the path and, where a SHA-256 was asked for and matches, the digest.
 *
 * @throws UserError `ModelNotFound`, `InvalidSource` or `ChecksumMismatch`
 */
export async function findInClaim(
  field: SourceField,
  uri: PvcUri,
  mount: string,
  sha256: string | undefined,
): Promise<{ path: string; bytes: number; digest?: string }> {
  const path = join(mount, uri.path);
  const real = await realpath(path).catch(() => undefined);
  if (real === undefined)
    throw loadError(
      'ModelNotFound',
      `there is no ${uri.path} in the claim ${uri.claim}: correct ${field}.uri, or copy ${field === 'model' ? 'the model' : 'the adapter'} there`,
    );
  const root = await realpath(mount);
  const found = await stat(real);
  const files = found.isDirectory() ? await filesUnder(real) : [real];
  const inside = (file: string): boolean => file === root || file.startsWith(root + sep);
  const outside = inside(real) ? files.find((file) => !inside(file)) : real;
  if (outside !== undefined) {
    throw loadError(
      'InvalidSource',
      `${uri.path} leads out of the claim ${uri.claim} by a symbolic link to ${outside}, which is refused: copy the file into the claim`,
    );
  }
  const sizes = await Promise.all(files.map(async (file) => (await stat(file)).size));
  const bytes = sizes.reduce((sum, size) => sum + size, 0);
  if (sha256 === undefined) return { path: real, bytes };
  if (!found.isFile())
    throw loadError('InvalidSource', `${field}.sha256 is for one file, and ${uri.path} is a folder: leave it out`);
  const hex = await digestOf(real, 'sha256', found.size);
  if (hex !== sha256)
    throw loadError(
      'ChecksumMismatch',
      `${uri.path} has SHA-256 ${hex}, but ${field}.sha256 is ${sha256}: correct one of them`,
    );
  return { path: real, bytes, digest: `sha256:${hex}` };
}

/** Where the files of a folder really are; links are followed one level, as engines read a folder and not a tree of links. */
async function filesUnder(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true, recursive: true });
  const kept = entries.filter((entry) => entry.isFile() || entry.isSymbolicLink());
  const paths = kept.map((entry) => join(entry.parentPath, entry.name));
  // A link that leads nowhere is nobody's file.
  const real = await Promise.all(paths.map((path) => realpath(path).catch(() => undefined)));
  return real.filter((path) => path !== undefined);
}
