import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { errorMessage } from '../../process/errors.ts';

/** What stands in one file. */
export interface ManifestFile {
  path: string;
  text: string;
}

/** Files as they are at one moment. `problems`: what could not be read, one sentence each. */
export interface ManifestFiles {
  files: ManifestFile[];
  problems: string[];
}

/**
 * Reads files, and of each folder the files that kubectl would: `.yaml`, `.yml` and `.json`, not those of its folders nor
 * hidden ones. In the order of `paths`, and by name within a folder.
 */
export function readFiles(paths: readonly string[]): ManifestFiles {
  const read: ManifestFiles = { files: [], problems: [] };
  const seen = new Set<string>();
  for (const given of paths) {
    try {
      const folder = statSync(given).isDirectory();
      const found = folder ? filesOf(given) : [given];
      if (folder && found.length === 0) read.problems.push(`${given}: no .yaml, .yml or .json file is in this folder`);
      for (const path of found) {
        if (seen.has(path)) continue;
        seen.add(path);
        read.files.push({ path, text: readFileSync(path, 'utf8') });
      }
    } catch (error) {
      read.problems.push(`${given}: ${reason(error)}`);
    }
  }
  return read;
}

function filesOf(folder: string): string[] {
  const names = readdirSync(folder).filter((name) => /\.(ya?ml|json)$/.test(name) && !name.startsWith('.'));
  return names
    .toSorted()
    .map((name) => join(folder, name))
    .filter((path) => statSync(path).isFile());
}

function reason(error: unknown): string {
  return (error as NodeJS.ErrnoException).code === 'ENOENT' ? 'no such file or folder' : errorMessage(error);
}
