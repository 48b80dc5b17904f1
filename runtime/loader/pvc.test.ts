import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { sha256 } from '../../test/support/hub/hub.ts';
import { ggufFile, safetensorsFile } from '../../test/support/hub/models.ts';
import { loading, modelFolder } from '../../test/support/loading.ts';
import { runLoader } from './main.ts';

const gguf = ggufFile(10_000);

async function claim() {
  const folder = await modelFolder();
  const mount = join(folder.path, 'mount');
  await mkdir(join(mount, 'llama'), { recursive: true });
  await mkdir(join(mount, 'hf'), { recursive: true });
  await writeFile(join(mount, 'llama/m.gguf'), gguf);
  await writeFile(join(mount, 'hf/config.json'), '{}');
  await writeFile(join(mount, 'hf/model.safetensors'), safetensorsFile(5_000));
  await writeFile(join(folder.path, 'outside.gguf'), gguf);
  return {
    mount,
    outside: join(folder.path, 'outside.gguf'),
    [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose](),
  };
}

describe('a model in a claim', () => {
  it('is found where it stands, its checksum verified when one is given', async () => {
    await using made = await claim();
    const uri = 'pvc://weights/llama/m.gguf';
    expect(await runLoader(loading(made.mount, { uri }))).toMatchObject({ bytes: 10_000 });
    expect(await runLoader(loading(made.mount, { uri, sha256: sha256(gguf) }))).toMatchObject({
      digest: `sha256:${sha256(gguf)}`,
    });
    await expect(runLoader(loading(made.mount, { uri, sha256: 'e'.repeat(64) }))).rejects.toMatchObject({
      code: 'ChecksumMismatch',
    });
  });

  it('is a folder for vLLM, whose size is that of its files', async () => {
    await using made = await claim();
    const report = await runLoader(loading(made.mount, { uri: 'pvc://weights/hf', engine: 'VLLM' }));
    expect(report.bytes).toBe(5_002);
  });

  it.each([
    ['pvc://weights/none.gguf', 'LlamaCpp', 'ModelNotFound', 'there is no none.gguf in the claim weights'],
    ['pvc://weights/hf/config.json', 'LlamaCpp', 'NotAGguf', 'does not begin with "GGUF"'],
    ['pvc://weights/hf', 'LlamaCpp', 'NotAGguf', 'is a folder'],
    ['pvc://weights/llama', 'VLLM', 'InvalidModel', 'no config.json'],
    ['pvc://weights/llama/m.gguf', 'VLLM', 'InvalidModel', 'is a file'],
    ['pvc://weights/../outside.gguf', 'LlamaCpp', 'InvalidSource', '--uri'],
  ] as const)('%s for %s is %s', async (uri, engine, code, words) => {
    await using made = await claim();
    await expect(runLoader(loading(made.mount, { uri, engine }))).rejects.toMatchObject({
      code,
      message: expect.stringContaining(words),
    });
  });

  it('may be linked inside the claim, as the hub cache does, but not out of it', async () => {
    await using made = await claim();
    await symlink('llama/m.gguf', join(made.mount, 'inside.gguf'));
    await symlink(made.outside, join(made.mount, 'outside.gguf'));
    await symlink(made.outside, join(made.mount, 'hf/tokenizer.json'));
    expect(await runLoader(loading(made.mount, { uri: 'pvc://weights/inside.gguf' }))).toMatchObject({ bytes: 10_000 });
    const refused = { code: 'InvalidSource', message: expect.stringContaining('leads out of the claim') };
    await expect(runLoader(loading(made.mount, { uri: 'pvc://weights/outside.gguf' }))).rejects.toMatchObject(refused);
    await expect(runLoader(loading(made.mount, { uri: 'pvc://weights/hf', engine: 'VLLM' }))).rejects.toMatchObject(
      refused,
    );
  });

  it('is refused when its safetensors were cut short, or an index names a file that is missing', async () => {
    await using made = await claim();
    const uri = 'pvc://weights/hf';
    await writeFile(join(made.mount, 'hf/model.safetensors'), safetensorsFile(5_000).subarray(0, 4_000));
    await expect(runLoader(loading(made.mount, { uri, engine: 'VLLM' }))).rejects.toMatchObject({
      code: 'InvalidModel',
      message: expect.stringContaining('cut short'),
    });
    await writeFile(join(made.mount, 'hf/model.safetensors'), safetensorsFile(5_000));
    await writeFile(join(made.mount, 'hf/model.safetensors.index.json'), '{"weight_map":{"w":"model-2.safetensors"}}');
    await expect(runLoader(loading(made.mount, { uri, engine: 'VLLM' }))).rejects.toMatchObject({
      code: 'InvalidModel',
      message: expect.stringContaining('model-2.safetensors'),
    });
  });
});
