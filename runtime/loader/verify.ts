import { open, readdir, readFile, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { EngineType } from '../../crds/v1alpha1/specialized-model.ts';
import { loadError } from './report.ts';

/**
 * Looks at weights the way the engine would at first sight, so that a wrong file is named for what it is instead of by a
 * crashing engine: a GGUF file for LlamaCpp; for VLLM a folder with `config.json` and whole safetensors files.
 *
 * @throws UserError `ModelNotFound`, `NotAGguf` or `InvalidModel`
 */
export async function verifyModel(path: string, engine: EngineType): Promise<void> {
  const found = await stat(path).catch(() => undefined);
  if (found === undefined) throw loadError('ModelNotFound', `${path} does not exist; correct model.uri`);
  if (engine === 'LlamaCpp') {
    if (!found.isFile())
      throw loadError('NotAGguf', `${path} is a folder; LlamaCpp serves one GGUF file, name it in model.uri`);
    await verifyGguf(path);
  } else {
    if (!found.isDirectory())
      throw loadError('InvalidModel', `${path} is a file; VLLM serves a folder with config.json and *.safetensors`);
    await verifyFolder(path);
  }
}

/** https://github.com/ggml-org/ggml/blob/master/docs/gguf.md: magic, version, number of tensors. */
async function verifyGguf(path: string): Promise<void> {
  const head = await firstBytes(path, 16);
  const name = basename(path);
  if (head.length < 16 || head.toString('latin1', 0, 4) !== 'GGUF')
    throw loadError(
      'NotAGguf',
      `${name} is not a GGUF file: it does not begin with "GGUF"; convert the model, or correct model.uri`,
    );
  const version = head.readUInt32LE(4);
  if (version !== 2 && version !== 3)
    throw loadError(
      'NotAGguf',
      `${name} has GGUF version ${version}; llama.cpp reads 2 and 3: convert the model again`,
    );
  if (head.readBigUInt64LE(8) === 0n)
    throw loadError('NotAGguf', `${name} holds no tensors; it may be a vocabulary only`);
}

async function verifyFolder(folder: string): Promise<void> {
  const names = await readdir(folder);
  if (!names.includes('config.json'))
    throw loadError('InvalidModel', `${folder} has no config.json; VLLM serves models in the Hugging Face layout`);
  await readJson(join(folder, 'config.json'));
  const tensors = names.filter((name) => name.endsWith('.safetensors'));
  if (tensors.length === 0 && !names.some((name) => /\.(bin|pt|pth)$/.test(name)))
    throw loadError('InvalidModel', `${folder} has no *.safetensors; the weights are missing`);
  for (const name of tensors) await verifySafetensors(join(folder, name));
  if (!names.includes('model.safetensors.index.json')) return;
  const index = (await readJson(join(folder, 'model.safetensors.index.json'))) as {
    weight_map?: Record<string, string>;
  };
  const missing = Object.values(index.weight_map ?? {}).find((name) => !names.includes(name));
  if (missing !== undefined)
    throw loadError('InvalidModel', `model.safetensors.index.json names ${missing}, which is missing in ${folder}`);
}

/** https://github.com/huggingface/safetensors#format: the header's length in eight bytes, the header, the tensors. */
async function verifySafetensors(path: string): Promise<void> {
  const { size } = await stat(path);
  const head = await firstBytes(path, 9);
  const headerBytes = head.length === 9 ? head.readBigUInt64LE(0) : 0n;
  if (head[8] !== 0x7b || headerBytes < 2n || headerBytes > 100_000_000n || headerBytes + 8n > BigInt(size))
    throw loadError('InvalidModel', `${basename(path)} is not a safetensors file, or only a part of one`);
  const header = await firstBytes(path, 8 + Number(headerBytes));
  let entries: Record<string, { data_offsets?: [number, number] }>;
  try {
    entries = JSON.parse(header.toString('utf8', 8)) as typeof entries;
  } catch {
    throw loadError('InvalidModel', `${basename(path)} is not a safetensors file: its header is not JSON`);
  }
  const end = Math.max(0, ...Object.values(entries).map(({ data_offsets: offsets }) => offsets?.[1] ?? 0));
  if (header.length + end > size)
    throw loadError('InvalidModel', `${basename(path)} has ${size} bytes of ${header.length + end}: it was cut short`);
}

async function firstBytes(path: string, length: number): Promise<Buffer> {
  const file = await open(path, 'r');
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, 0);
    return buffer.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
}

async function readJson(path: string): Promise<object> {
  try {
    const value: unknown = JSON.parse(await readFile(path, 'utf8'));
    if (typeof value === 'object' && value !== null) return value;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  throw loadError('InvalidModel', `${basename(path)} is not a JSON object; the model is damaged`);
}
