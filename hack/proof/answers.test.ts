import { appendFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { digest, inFile } from './answers.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cadre-answers-'));
});
afterEach(() => rm(folder, { recursive: true }));

describe('answers in a file', () => {
  it('are known to the next run', async () => {
    const path = join(folder, 'deep', 'answers.jsonl');
    await (await inFile<number>(path)).add(digest('question'), 42);
    const again = await inFile<number>(path);
    expect(again.get(digest('question'))).toBe(42);
    expect(again.get(digest('another'))).toBeUndefined();
  });

  it('survive a run that was killed while it wrote', async () => {
    const path = join(folder, 'answers.jsonl');
    await writeFile(path, '["a",1]\n["b",');
    const store = await inFile<number>(path);
    expect([store.get('a'), store.get('b')]).toEqual([1, undefined]);
    await store.add('b', 2);
    await appendFile(path, '["c"');
    const again = await inFile<number>(path);
    expect([again.get('a'), again.get('b'), again.get('c')]).toEqual([1, 2, undefined]);
    expect((await readFile(path, 'utf8')).split('\n')).toContain('["b",2]');
  });
});
