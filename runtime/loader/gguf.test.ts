import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { temporaryFolder } from '../../process/testing/temporary-folder.ts';
import { ggufOf } from '../../test/support/gguf.ts';
import { GgufError, readGgufHeader } from './gguf.ts';

const file = ggufOf(
  {
    'general.architecture': { string: 'llama' },
    'a.count': { uint32: 7 },
    'tokenizer.ggml.tokens': { strings: ['one', 'two', '', 'four'] },
    'general.name': { string: 'über' },
  },
  [
    { name: 'a', shape: [3, 5] },
    { name: 'b', shape: [4] },
  ],
);

async function headerOf(content: Buffer) {
  await using folder = await temporaryFolder('gguf');
  const path = join(folder.path, 'x.gguf');
  await writeFile(path, content);
  return await readGgufHeader(path);
}

describe('the header of a GGUF file', () => {
  it('has texts, the shapes of tensors, and where the last of them ends', async () => {
    const header = await headerOf(file);
    expect(Object.fromEntries(header.texts)).toEqual({ 'general.architecture': 'llama', 'general.name': 'über' });
    expect(Object.fromEntries(header.tensors)).toEqual({ a: { shape: [3, 5] }, b: { shape: [4] } });
    // The data of the last tensor is padded to 32 bytes, of which 16 count.
    expect(header.bytes).toBe(file.length - 16);
  });

  it('may be longer than what is read at once', async () => {
    const tokens = Array.from({ length: 200_000 }, (_, at) => `token ${at}`);
    const large = ggufOf({ tokens: { strings: tokens }, last: { string: 'read' } }, [{ name: 'a', shape: [2] }]);
    expect((await headerOf(large)).texts.get('last')).toBe('read');
  });

  it('that is cut anywhere is refused, and never read beyond its end', async () => {
    const { bytes } = await headerOf(file);
    const dataBytes = 64 + 16;
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 0, max: bytes - dataBytes - 32 }), async (length) => {
        await expect(headerOf(file.subarray(0, length))).rejects.toThrow(GgufError);
      }),
      { numRuns: 50 },
    );
  });

  it('whose bytes are any ends in an answer or a refusal', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), async (noise) => {
        const content = Buffer.concat([file.subarray(0, 8), noise]);
        const outcome = await headerOf(content).catch((error: unknown) => error);
        expect(outcome instanceof GgufError || (outcome as { bytes?: unknown }).bytes !== undefined).toBe(true);
      }),
      { numRuns: 100 },
    );
  });
});
