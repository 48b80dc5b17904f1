import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { modelFolder } from '../../test/support/loading.ts';
import { completeFor, readMarker } from './marker.ts';

const request = { uri: 'hf://acme/a/a.gguf', revision: 'main', engine: 'LlamaCpp' };

/** A folder `folder` with the file `own` and a marker that names this file, beside a file `other`. */
async function folderWith(root: string, path: string): Promise<string> {
  const folder = join(root, 'folder');
  await mkdir(folder);
  await writeFile(join(root, 'other'), 'x');
  await writeFile(join(folder, 'own'), 'x');
  const marker = { version: 1, ...request, files: [{ path, size: 1 }] };
  await writeFile(join(folder, '.cadre-model.json'), JSON.stringify(marker));
  return folder;
}

describe('a marker in a folder that others may write to', () => {
  it('counts when it names files of the folder', async () => {
    await using root = await modelFolder();
    const folder = await folderWith(root.path, 'own');
    expect(await completeFor(folder, request)).toMatchObject({ files: [{ path: 'own', size: 1 }] });
  });

  it.each(['../other', '/etc/passwd', 'a/../../other'])('counts for nothing when it names %s', async (path) => {
    await using root = await modelFolder();
    const folder = await folderWith(root.path, path);
    expect(await readMarker(folder)).toBeUndefined();
    expect(await completeFor(folder, request)).toBeUndefined();
  });
});
