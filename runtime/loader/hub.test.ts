import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Hub, sha256, startHub } from '../../test/support/hub/hub.ts';
import { ggufFile, safetensorsFile } from '../../test/support/hub/models.ts';
import { loading, modelFolder } from '../../test/support/loading.ts';
import { runLoader } from './main.ts';
import type { LoaderOptions } from './options.ts';

// Larger than what a client buffers, so that a cut connection leaves something to resume.
const gguf = ggufFile(2_000_000);
const config = Buffer.from('{"architectures":["LlamaForCausalLM"]}');
const repository = {
  'config.json': config,
  'model-00001-of-00002.safetensors': safetensorsFile(150_000, 1),
  'model-00002-of-00002.safetensors': safetensorsFile(120_000, 2),
  'model.safetensors.index.json': Buffer.from(
    '{"weight_map":{"a":"model-00001-of-00002.safetensors","b":"model-00002-of-00002.safetensors"}}',
  ),
  'tokenizer.json': Buffer.alloc(200_000, 'tokenizer'),
  'pytorch_model.bin': Buffer.alloc(150_000, 1),
  'modeling_custom.py': Buffer.from('import os'),
  'onnx/model.onnx': Buffer.alloc(1000),
  '1_Pooling/config.json': Buffer.from('{}'),
  'README (copy).md': Buffer.from('# a name with spaces'),
};

let hub: Hub;
beforeEach(async () => {
  hub = await startHub({
    'acme/tickets-gguf': { files: { 'tickets.gguf': gguf, 'README.md': Buffer.from('# tickets') } },
    'acme/tickets': { files: repository, branches: ['refs/pr/1'] },
    'acme/private': { files: { 'tickets.gguf': gguf }, token: 'hf_secret' },
    'acme/gated': { files: { 'tickets.gguf': gguf }, gated: true },
  });
});
afterEach(() => hub.close());

function fromHub(to: string, uri: string, options: Partial<LoaderOptions> = {}): LoaderOptions {
  return loading(to, { uri, hubEndpoint: hub.endpoint, ...options });
}

describe('one file of the hub', () => {
  it('is put in place, verified, and reported with digest and size', async () => {
    await using folder = await modelFolder();
    const to = join(folder.path, 'model');
    const report = await runLoader(fromHub(to, 'hf://acme/tickets-gguf/tickets.gguf', { sha256: sha256(gguf) }));
    expect(report).toEqual({ digest: `sha256:${sha256(gguf)}`, bytes: 2_000_000, seconds: expect.any(Number) });
    expect(await readFile(join(to, 'tickets.gguf'))).toEqual(gguf);
    expect(JSON.parse(await readFile(`${to}.termination`, 'utf8'))).toEqual(report);
    expect((await readdir(to)).sort()).toEqual(['.cadre-model.json', 'tickets.gguf']);
  });

  it('is not asked for again once it is complete, not even of the hub', async () => {
    await using folder = await modelFolder();
    const options = fromHub(folder.path, 'hf://acme/tickets-gguf/tickets.gguf');
    const first = await runLoader(options);
    const asked = hub.requests.length;
    expect(await runLoader(options)).toMatchObject({ digest: first.digest, bytes: first.bytes });
    expect(hub.requests.length).toBe(asked);
  });

  it('is loaded again when the file in place was cut or another one is wanted', async () => {
    await using folder = await modelFolder();
    await runLoader(fromHub(folder.path, 'hf://acme/tickets-gguf/tickets.gguf'));
    await writeFile(join(folder.path, 'tickets.gguf'), gguf.subarray(0, 1000));
    await runLoader(fromHub(folder.path, 'hf://acme/tickets-gguf/tickets.gguf'));
    expect(await readFile(join(folder.path, 'tickets.gguf'))).toEqual(gguf);

    const other = ggufFile(200_000, 9);
    hub.repos.set('acme/other', { files: { 'other.gguf': other } });
    await runLoader(fromHub(folder.path, 'hf://acme/other/other.gguf'));
    expect(await readFile(join(folder.path, 'other.gguf'))).toEqual(other);
    expect(existsSync(join(folder.path, 'tickets.gguf'))).toBe(false);
  });

  it('goes on where a broken connection stopped', async () => {
    await using folder = await modelFolder();
    hub.transfers.push({ cutAfter: 1_000_000 }, { cutAfter: 500_000 });
    await runLoader(fromHub(folder.path, 'hf://acme/tickets-gguf/tickets.gguf'));
    expect(await readFile(join(folder.path, 'tickets.gguf'))).toEqual(gguf);
    const ranges = hub.requests.filter(({ server }) => server === 'cdn').map(({ range }) => range);
    expect(ranges[0]).toBeUndefined();
    const starts = ranges.slice(1).map((range) => Number(/^bytes=(\d+)-$/.exec(range ?? '')?.[1]));
    expect(starts).toHaveLength(2);
    expect(starts[0]).toBeGreaterThan(0);
    expect(starts[1]).toBeGreaterThan(starts[0] ?? 0);
  });

  it('is loaded whole again when the part that was there is damaged', async () => {
    await using folder = await modelFolder();
    await writeFile(join(folder.path, 'tickets.gguf.part'), Buffer.alloc(100_000));
    await runLoader(fromHub(folder.path, 'hf://acme/tickets-gguf/tickets.gguf'));
    expect(await readFile(join(folder.path, 'tickets.gguf'))).toEqual(gguf);
    expect(hub.requests.filter(({ server }) => server === 'cdn').map(({ range }) => range)).toEqual([
      'bytes=100000-',
      undefined,
    ]);
  });

  it('is refused when its content is not what the hub promised, and nothing takes its place', async () => {
    await using folder = await modelFolder();
    hub.transfers.push({ content: ggufFile(2_000_000, 7) });
    await expect(runLoader(fromHub(folder.path, 'hf://acme/tickets-gguf/tickets.gguf'))).rejects.toMatchObject({
      code: 'ChecksumMismatch',
      message: expect.stringContaining(`expected ${sha256(gguf)}`),
    });
    expect((await readdir(folder.path)).filter((name) => name.endsWith('.gguf'))).toEqual([]);
    expect(JSON.parse(await readFile(`${folder.path}.termination`, 'utf8'))).toMatchObject({
      code: 'ChecksumMismatch',
    });
  });

  it('is refused before it is loaded when the hub holds another one than model.sha256 says', async () => {
    await using folder = await modelFolder();
    const options = fromHub(folder.path, 'hf://acme/tickets-gguf/tickets.gguf', { sha256: 'a'.repeat(64) });
    await expect(runLoader(options)).rejects.toMatchObject({ code: 'ChecksumMismatch' });
    expect(hub.requests.some(({ server }) => server === 'cdn')).toBe(false);
  });

  it('is followed by its siblings when it is split', async () => {
    await using folder = await modelFolder();
    const parts = { 'q4/m-00001-of-00002.gguf': ggufFile(5000, 1), 'q4/m-00002-of-00002.gguf': ggufFile(5000, 2) };
    hub.repos.set('acme/split', { files: parts });
    await runLoader(fromHub(folder.path, 'hf://acme/split/q4/m-00001-of-00002.gguf'));
    expect(await readFile(join(folder.path, 'm-00002-of-00002.gguf'))).toEqual(parts['q4/m-00002-of-00002.gguf']);
  });
});

describe('a repository of the hub', () => {
  it('comes without code, other formats and the same weights twice, and keeps its folders', async () => {
    await using folder = await modelFolder();
    hub.pageSize = 3;
    const report = await runLoader(
      fromHub(folder.path, 'hf://acme/tickets', { engine: 'VLLM', revision: 'refs/pr/1' }),
    );
    const names = (await readdir(folder.path, { recursive: true })).sort();
    expect(names).toEqual([
      '.cadre-model.json',
      '1_Pooling',
      '1_Pooling/config.json',
      'README (copy).md',
      'config.json',
      'model-00001-of-00002.safetensors',
      'model-00002-of-00002.safetensors',
      'model.safetensors.index.json',
      'tokenizer.json',
    ]);
    expect(report.digest).toBeUndefined();
    expect(report.bytes).toBeGreaterThan(470_000);
    expect(await readFile(join(folder.path, 'config.json'))).toEqual(config);
  });

  it('keeps the files that an earlier loader had finished', async () => {
    await using folder = await modelFolder();
    const name = 'model-00001-of-00002.safetensors';
    await writeFile(join(folder.path, name), repository[name]);
    await runLoader(fromHub(folder.path, 'hf://acme/tickets', { engine: 'VLLM' }));
    const oid = sha256(repository[name]);
    expect(hub.requests.filter(({ path }) => path.includes(oid))).toEqual([]);
  });

  it('is refused whole when one small file differs from its Git hash', async () => {
    await using folder = await modelFolder();
    hub.repos.set('acme/one', {
      files: { 'config.json': config, 'model.safetensors': safetensorsFile(1000) },
    });
    hub.lie = (entries) =>
      entries.map((entry) => (entry.path === 'config.json' ? { ...entry, oid: 'b'.repeat(40) } : entry));
    await expect(runLoader(fromHub(folder.path, 'hf://acme/one', { engine: 'VLLM' }))).rejects.toMatchObject({
      code: 'ChecksumMismatch',
      message: expect.stringContaining('config.json'),
    });
  });

  it.each(['../../etc/cron.d/x', '/etc/passwd', 'a/../../b', 'a//b', '.', 'a\\..\\b', '.cadre-lock.1'])(
    'is refused when it lists the file name %j',
    async (path) => {
      await using folder = await modelFolder();
      const to = join(folder.path, 'deep', 'model');
      await mkdir(to, { recursive: true });
      hub.lie = (entries) => [...entries, { type: 'file', oid: 'c'.repeat(40), size: 3, path }];
      await expect(runLoader(fromHub(to, 'hf://acme/tickets', { engine: 'VLLM' }))).rejects.toMatchObject({
        code: 'InvalidModel',
        message: expect.stringContaining('unsafe file name'),
      });
      expect(await readdir(to)).toEqual([]);
    },
  );

  it('without config.json is not a model', async () => {
    await using folder = await modelFolder();
    hub.repos.set('acme/weights', { files: { 'model.safetensors': safetensorsFile(1000) } });
    await expect(runLoader(fromHub(folder.path, 'hf://acme/weights', { engine: 'VLLM' }))).rejects.toMatchObject({
      code: 'InvalidModel',
      message: expect.stringContaining('config.json'),
    });
  });
});

describe('what the hub refuses', () => {
  it.each([
    ['hf://acme/nothing/x.gguf', undefined, 'Unauthorized', 'set model.credentials'],
    ['hf://acme/private/tickets.gguf', undefined, 'Unauthorized', 'set model.credentials'],
    [
      'hf://acme/private/tickets.gguf',
      'hf_wrong',
      'Unauthorized',
      'the token in the Secret of model.credentials is wrong',
    ],
    ['hf://acme/nothing/x.gguf', 'hf_secret', 'ModelNotFound', 'correct model.uri'],
    ['hf://acme/gated/tickets.gguf', undefined, 'Unauthorized', 'accept its conditions'],
    ['hf://acme/tickets-gguf/other.gguf', undefined, 'ModelNotFound', 'there is no other.gguf'],
    ['hf://acme/tickets-gguf', undefined, 'InvalidSource', 'e.g. hf://acme/tickets-gguf/tickets.gguf'],
  ])('%s with token %s is %s', async (uri, token, code, words) => {
    await using folder = await modelFolder();
    await expect(runLoader(fromHub(folder.path, uri, { token }))).rejects.toMatchObject({
      code,
      message: expect.stringContaining(words),
    });
    expect(JSON.parse(await readFile(`${folder.path}.termination`, 'utf8'))).toMatchObject({ code });
  });

  it('an unknown revision is told as one', async () => {
    await using folder = await modelFolder();
    const options = fromHub(folder.path, 'hf://acme/tickets-gguf/tickets.gguf', { revision: 'v9' });
    await expect(runLoader(options)).rejects.toMatchObject({
      code: 'ModelNotFound',
      message: expect.stringContaining('v9'),
    });
  });

  it('for a moment is asked again, for longer ends the loader', async () => {
    await using folder = await modelFolder();
    hub.failures.push({ status: 503 }, { status: 429, headers: { 'retry-after': '0' } });
    await runLoader(fromHub(folder.path, 'hf://acme/tickets-gguf/tickets.gguf'));

    await using other = await modelFolder();
    hub.failures.push({ status: 503 }, { status: 503 }, { status: 503 });
    await expect(runLoader(fromHub(other.path, 'hf://acme/tickets-gguf/tickets.gguf'))).rejects.toMatchObject({
      code: 'DownloadFailed',
      message: expect.stringContaining('status 503'),
    });
  });
});

describe('the token', () => {
  it('goes to the hub and to no other host', async () => {
    await using folder = await modelFolder();
    await runLoader(fromHub(folder.path, 'hf://acme/private/tickets.gguf', { token: 'hf_secret' }));
    const sent = (server: string) =>
      hub.requests.filter((seen) => seen.server === server).map((seen) => seen.authorization);
    expect(new Set(sent('hub'))).toEqual(new Set(['Bearer hf_secret']));
    expect(sent('cdn')).toEqual([undefined]);
  });
});

describe('a full disk', () => {
  it('is noticed before the download begins', async () => {
    await using folder = await modelFolder();
    const options = fromHub(folder.path, 'hf://acme/tickets-gguf/tickets.gguf', {
      tuning: { freeBytes: () => Promise.resolve(1000) },
    });
    await expect(runLoader(options)).rejects.toMatchObject({
      code: 'DiskFull',
      message: expect.stringContaining('needs 2000000 more bytes'),
    });
    expect(hub.requests.some(({ server }) => server === 'cdn')).toBe(false);
  });
});
