import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ggufOf, type LoraOptions, loraGguf } from '../../test/support/gguf.ts';
import { sha256, startHub } from '../../test/support/hub/hub.ts';
import { ggufFile, safetensorsFile, safetensorsOf } from '../../test/support/hub/models.ts';
import { loading, modelFolder } from '../../test/support/loading.ts';
import { runLoader } from './main.ts';
import type { LoaderOptions } from './options.ts';

/** A model of one layer that has what a model of real size has before its tensors. */
const base = ggufOf(
  {
    'general.architecture': { string: 'llama' },
    'tokenizer.ggml.tokens': { strings: Array.from({ length: 3000 }, (_, at) => `token-${at}`) },
    'llama.block_count': { uint32: 1 },
    'llama.rope.freq_base': { float32: 10_000 },
  },
  [
    { name: 'blk.0.attn_q.weight', shape: [64, 64] },
    { name: 'token_embd.weight', shape: [64, 300] },
  ],
);
const fitting: LoraOptions = { target: ['blk.0.attn_q.weight', 64, 64] };
const adapter = loraGguf(fitting);
const loraHeader = {
  'general.architecture': { string: 'llama' },
  'general.type': { string: 'adapter' },
  'adapter.type': { string: 'lora' },
};
const claimed = { uri: 'pvc://weights/base.gguf' };

async function claim(files: Record<string, Buffer> = {}) {
  const folder = await modelFolder();
  await writeFile(join(folder.path, 'base.gguf'), base);
  for (const [name, content] of Object.entries(files)) {
    await mkdir(join(folder.path, name, '..'), { recursive: true });
    await writeFile(join(folder.path, name), content);
  }
  return folder;
}

function withAdapter(mount: string, uri: string, over: Partial<NonNullable<LoaderOptions['adapter']>> = {}) {
  return loading(mount, { ...claimed, adapter: { uri, to: mount, shared: false, ...over } });
}

describe('an adapter in a claim', () => {
  it('is verified and reported with its own checksum, also when none was asked for', async () => {
    await using made = await claim({ 'triage.gguf': adapter });
    const report = await runLoader(withAdapter(made.path, 'pvc://weights/triage.gguf'));
    expect(report).toEqual({
      adapterDigest: `sha256:${sha256(adapter)}`,
      bytes: base.length,
      seconds: expect.any(Number),
    });
    expect(JSON.parse(await readFile(`${made.path}.termination`, 'utf8'))).toEqual(report);
  });

  it('may change the embedding, whose pair stands the other way round', async () => {
    const embedding = ggufOf(loraHeader, [
      { name: 'token_embd.weight.lora_a', shape: [1, 300] },
      { name: 'token_embd.weight.lora_b', shape: [1, 64] },
    ]);
    await using made = await claim({ 'e.gguf': embedding });
    await expect(runLoader(withAdapter(made.path, 'pvc://weights/e.gguf'))).resolves.toMatchObject({
      adapterDigest: expect.any(String),
    });
  });

  const cases: { what: string; file: Buffer; sha256?: string; code: string; words: string }[] = [
    {
      what: 'for another architecture',
      file: loraGguf({ ...fitting, architecture: 'gemma3' }),
      code: 'AdapterMismatch',
      words: 'for the architecture gemma3, and the model is llama',
    },
    {
      what: 'for a deeper model',
      file: loraGguf({ target: ['blk.1.attn_q.weight', 64, 64] }),
      code: 'AdapterMismatch',
      words: 'blk.1.attn_q.weight, which the model does not have',
    },
    {
      what: 'for a wider model',
      file: loraGguf({ target: ['blk.0.attn_q.weight', 96, 96] }),
      code: 'AdapterMismatch',
      words: '96 × 96, and the model has 64 × 64',
    },
    {
      what: 'cut in its data',
      file: adapter.subarray(0, adapter.length - 32),
      code: 'InvalidAdapter',
      words: 'cut short',
    },
    { what: 'cut in its header', file: adapter.subarray(0, 150), code: 'InvalidAdapter', words: 'cut short' },
    {
      what: 'not a GGUF',
      file: Buffer.from('this is not an adapter\n'),
      code: 'NotAGguf',
      words: 'does not begin with "GGUF"',
    },
    { what: 'a model', file: base, code: 'InvalidAdapter', words: 'does not say that it is an adapter' },
    {
      what: 'said to be a model',
      file: loraGguf({ ...fitting, header: { 'general.type': { string: 'model' } } }),
      code: 'InvalidAdapter',
      words: 'is of type model',
    },
    {
      what: 'of another method',
      file: loraGguf({ ...fitting, header: { 'adapter.type': { string: 'ia3' } } }),
      code: 'InvalidAdapter',
      words: 'adapter of type ia3',
    },
    {
      what: 'without one half of a pair',
      file: ggufOf(loraHeader, [{ name: 'blk.0.attn_q.weight.lora_a', shape: [64, 1] }]),
      code: 'InvalidAdapter',
      words: 'no lora_b',
    },
    {
      what: 'not the one that is meant',
      file: adapter,
      sha256: 'e'.repeat(64),
      code: 'ChecksumMismatch',
      words: `model.adapter.sha256 is ${'e'.repeat(64)}`,
    },
  ];

  it.each(cases)('that is $what: $code', async ({ file, sha256: expected, code, words }) => {
    await using made = await claim({ 'x.gguf': file });
    const options = withAdapter(made.path, 'pvc://weights/x.gguf', expected === undefined ? {} : { sha256: expected });
    await expect(runLoader(options)).rejects.toMatchObject({ code, message: expect.stringContaining(words) });
    const told = JSON.parse(await readFile(`${made.path}.termination`, 'utf8')) as { code: string; message: string };
    expect(told.code).toBe(code);
    expect(told.message).toMatch(/^the adapter/);
  });

  it('that is not there: ModelNotFound, which names the field', async () => {
    await using made = await claim();
    await expect(runLoader(withAdapter(made.path, 'pvc://weights/none.gguf'))).rejects.toMatchObject({
      code: 'ModelNotFound',
      message: expect.stringMatching(/^the adapter: there is no none\.gguf .* correct model\.adapter\.uri/),
    });
  });

  it('is not blamed for weights that are wrong', async () => {
    await using made = await claim({ 'triage.gguf': adapter, 'base.gguf': Buffer.from('not a model') });
    await expect(runLoader(withAdapter(made.path, 'pvc://weights/triage.gguf'))).rejects.toMatchObject({
      code: 'NotAGguf',
      message: expect.stringMatching(/^base\.gguf is not a GGUF/),
    });
  });
});

const peft = {
  'adapter_config.json': Buffer.from('{"peft_type":"LORA","r":8,"base_model_name_or_path":"acme/base"}'),
  'adapter_model.safetensors': safetensorsFile(5_000),
};
const folderModel = {
  'hf/config.json': Buffer.from('{}'),
  'hf/model.safetensors': safetensorsFile(5_000, 2),
};

describe('an adapter for vLLM', () => {
  const inFolder = (files: Record<string, Buffer>) =>
    Object.fromEntries(Object.entries(files).map(([name, content]) => [`peft/${name}`, content]));
  const asPeft = (mount: string, uri = 'pvc://weights/peft') => ({
    ...withAdapter(mount, uri),
    engine: 'VLLM' as const,
    uri: 'pvc://weights/hf',
  });

  it('is a folder as PEFT writes it, known by the checksum of its tensors', async () => {
    await using made = await claim({ ...folderModel, ...inFolder(peft) });
    expect(await runLoader(asPeft(made.path))).toMatchObject({
      adapterDigest: `sha256:${sha256(peft['adapter_model.safetensors'])}`,
    });
  });

  it.each([
    ['has no configuration', { 'adapter_config.json': undefined }, 'no adapter_config.json'],
    ['has a broken configuration', { 'adapter_config.json': Buffer.from('{"r":') }, 'not a JSON object'],
    ['is of another method', { 'adapter_config.json': Buffer.from('{"peft_type":"IA3"}') }, 'peft_type "IA3"'],
    ['has no tensors', { 'adapter_model.safetensors': undefined }, 'no adapter_model.safetensors'],
    [
      'was cut short',
      { 'adapter_model.safetensors': peft['adapter_model.safetensors'].subarray(0, 4_000) },
      'cut short',
    ],
  ])('that %s: InvalidAdapter', async (_, over, words) => {
    const files = Object.entries({ ...peft, ...over }).filter(
      (file): file is [string, Buffer] => file[1] !== undefined,
    );
    await using made = await claim({ ...folderModel, ...inFolder(Object.fromEntries(files)), 'peft/README.md': base });
    await expect(runLoader(asPeft(made.path))).rejects.toMatchObject({
      code: 'InvalidAdapter',
      message: expect.stringContaining(words),
    });
  });
});

describe('an adapter for vLLM, held against the weights', () => {
  const tensor = (name: string, shape: number[], dtype = 'F16') => ({ name, shape, dtype });
  const layer = (module: string) => `model.layers.0.self_attn.${module}.weight`;
  const model = [tensor(layer('q_proj'), [64, 32]), tensor(layer('k_proj'), [16, 1], 'U8')];
  const lora = (module: string, [rows, columns]: [number, number]) => [
    tensor(`base_model.model.model.${module}.lora_A.weight`, [8, columns]),
    tensor(`base_model.model.model.${module}.lora_B.weight`, [rows, 8]),
  ];

  async function load(tensors: ReturnType<typeof tensor>[], config: object = { peft_type: 'LORA' }) {
    await using made = await claim({
      'hf/config.json': Buffer.from('{}'),
      'hf/model.safetensors': safetensorsOf(model),
      'peft/adapter_config.json': Buffer.from(JSON.stringify(config)),
      'peft/adapter_model.safetensors': safetensorsOf(tensors),
    });
    const options = withAdapter(made.path, 'pvc://weights/peft');
    return await runLoader({ ...options, engine: 'VLLM', uri: 'pvc://weights/hf' });
  }

  it.each([
    ['as large', lora('layers.0.self_attn.q_proj', [64, 32]), undefined],
    ['on quantized weights, whose shapes are others', lora('layers.0.self_attn.k_proj', [32, 32]), undefined],
    ['by a name that only the engine knows', lora('layers.0.mlp.gate_up_proj', [9, 9]), undefined],
    [
      'stored the other way round',
      lora('layers.0.self_attn.q_proj', [32, 64]),
      { peft_type: 'LORA', fan_in_fan_out: true },
    ],
  ])('may be %s', async (_, tensors, config) => {
    await expect(load(tensors, config)).resolves.toMatchObject({ adapterDigest: expect.any(String) });
  });

  it.each([
    ['longer rows', lora('layers.0.self_attn.q_proj', [64, 48]), '64 × 48, and the model has 64 × 32'],
    ['more rows', lora('layers.0.self_attn.q_proj', [96, 32]), '96 × 32, and the model has 64 × 32'],
    ['more layers', lora('layers.7.self_attn.q_proj', [64, 32]), 'layers.7.self_attn.q_proj.weight, which the model'],
  ])('does not fit when it is for weights of %s', async (_, tensors, words) => {
    await expect(load(tensors)).rejects.toMatchObject({
      code: 'AdapterMismatch',
      message: expect.stringContaining(words),
    });
  });
});

describe('an adapter of the hub', () => {
  async function hubWith(repos: Parameters<typeof startHub>[0]) {
    const hub = await startHub(repos);
    return { hub, [Symbol.asyncDispose]: () => hub.close() };
  }

  it('is loaded beside weights of a claim, with a token of its own', async () => {
    await using made = await claim();
    await using at = await hubWith({ 'acme/triage': { files: { 'triage.gguf': adapter }, token: 'hf_adapter' } });
    const to = join(made.path, '../adapter');
    const uri = 'hf://acme/triage/triage.gguf';
    const options = { ...withAdapter(made.path, uri, { to, token: 'hf_adapter' }), hubEndpoint: at.hub.endpoint };
    expect(await runLoader(options)).toMatchObject({ adapterDigest: `sha256:${sha256(adapter)}`, bytes: base.length });
    expect(await readFile(join(to, 'triage.gguf'))).toEqual(adapter);

    await expect(
      runLoader({
        ...withAdapter(made.path, uri, { to: `${to}-2` }),
        token: 'hf_adapter',
        hubEndpoint: at.hub.endpoint,
      }),
    ).rejects.toMatchObject({
      code: 'Unauthorized',
      message: expect.stringMatching(/^the adapter: .*model\.adapter\.credentials/),
    });
  });

  it('that is wrong is known before the weights are asked for', async () => {
    await using made = await modelFolder();
    await using at = await hubWith({
      'acme/base': { files: { 'base.gguf': ggufFile(200_000) } },
      'acme/triage': { files: { 'triage.gguf': adapter.subarray(0, 150) } },
    });
    const options = withAdapter(made.path, 'hf://acme/triage/triage.gguf', { to: join(made.path, '../adapter') });
    await expect(
      runLoader({ ...options, uri: 'hf://acme/base/base.gguf', hubEndpoint: at.hub.endpoint }),
    ).rejects.toMatchObject({ code: 'InvalidAdapter' });
    expect(at.hub.requests.filter(({ path }) => path.includes('acme/base'))).toEqual([]);
  });

  it('whose download is cut goes on where it stopped; one that can not be had says so', async () => {
    await using made = await claim();
    await using at = await hubWith({ 'acme/triage': { files: { 'triage.gguf': adapter } } });
    const uri = 'hf://acme/triage/triage.gguf';
    at.hub.transfers.push({ cutAfter: 300 });
    const options = { ...withAdapter(made.path, uri, { to: join(made.path, '../a') }), hubEndpoint: at.hub.endpoint };
    expect(await runLoader(options)).toMatchObject({ adapterDigest: `sha256:${sha256(adapter)}` });

    const nobody = {
      ...withAdapter(made.path, uri, { to: join(made.path, '../b') }),
      hubEndpoint: 'http://127.0.0.1:9',
    };
    await expect(runLoader(nobody)).rejects.toMatchObject({
      code: 'DownloadFailed',
      message: expect.stringMatching(/^the adapter: asking the hub for acme\/triage failed/),
    });
  });

  it('is for vLLM what PEFT wrote, without the checkpoints of its training', async () => {
    await using made = await claim(folderModel);
    const checkpoint = Object.fromEntries(Object.entries(peft).map(([name, file]) => [`checkpoint-50/${name}`, file]));
    await using at = await hubWith({ 'acme/peft': { files: { ...peft, ...checkpoint } } });
    const to = join(made.path, '../peft');
    const options = { ...withAdapter(made.path, 'hf://acme/peft', { to }), hubEndpoint: at.hub.endpoint };
    await runLoader({ ...options, engine: 'VLLM', uri: 'pvc://weights/hf' });
    expect(await readFile(join(to, 'adapter_config.json'))).toEqual(peft['adapter_config.json']);
    expect(at.hub.requests.filter(({ path }) => path.includes('checkpoint'))).toEqual([]);
  });
});

describe('a prompt template', () => {
  it('is written to its file, to the letter', async () => {
    await using made = await claim();
    const text = 'Message: {{ messages[-1].content }}\nLabel:\n$(HOME) $$ “é”';
    const to = join(made.path, '../prompt/template.jinja');
    await runLoader(loading(made.path, { ...claimed, promptTemplate: { to, text } }));
    expect(await readFile(to, 'utf8')).toBe(text);
  });
});
