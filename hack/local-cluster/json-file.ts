import { readFile, rename, writeFile } from 'node:fs/promises';

/** The content of a JSON file, undefined when there is none that can be read. */
export async function readJson<T>(path: string): Promise<T | undefined> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as T;
  } catch {
    return undefined;
  }
}

/** Replaces a JSON file in one step, so that an interruption leaves the old or the new one. */
export async function writeJson(path: string, value: unknown): Promise<void> {
  await writeFile(`${path}.part`, JSON.stringify(value, undefined, 2));
  await rename(`${path}.part`, path);
}
