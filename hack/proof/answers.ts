import { createHash } from 'node:crypto';
import { appendFile, mkdir, readFile } from 'node:fs/promises';
import { dirname } from 'node:path';

/** Answers by the digest of what was asked. */
export interface AnswerStore<T> {
  get(key: string): T | undefined;
  add(key: string, answer: T): Promise<void>;
}

/** Keeps answers for as long as the process lives. */
export function inMemory<T>(): AnswerStore<T> {
  const known = new Map<string, T>();
  return {
    get: (key) => known.get(key),
    async add(key, answer) {
      known.set(key, answer);
    },
  };
}

/** Keeps answers in a file, a line of JSON each, so that a run that was interrupted goes on where it was. */
export async function inFile<T>(path: string): Promise<AnswerStore<T>> {
  await mkdir(dirname(path), { recursive: true });
  const content = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
    return '';
  });
  const known = new Map(content.split('\n').flatMap((line) => entryOf<T>(line)));
  // What was cut off when a run was killed must not spoil the next line.
  if (content !== '' && !content.endsWith('\n')) await appendFile(path, '\n');
  return {
    get: (key) => known.get(key),
    async add(key, answer) {
      known.set(key, answer);
      await appendFile(path, `${JSON.stringify([key, answer])}\n`);
    },
  };
}

function entryOf<T>(line: string): [string, T][] {
  if (line === '') return [];
  try {
    return [JSON.parse(line) as [string, T]];
  } catch {
    return []; // half a line, of a run that was killed
  }
}

/** Half of a SHA-256, in hexadecimal: long enough to name what was asked. */
export function digest(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 32);
}
