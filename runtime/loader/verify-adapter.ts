import { readdir, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { EngineType } from '../../crds/v1alpha1/specialized-model.ts';
import { digestOf } from './digest.ts';
import { readJsonObject, verifyGgufHead, verifySafetensors } from './files.ts';
import { GgufError, type GgufHeader, readGgufHeader } from './gguf.ts';
import { loadError } from './report.ts';

const code = 'InvalidAdapter';

/**
 * Looks at an adapter by itself: a GGUF file that says it is a LoRA adapter, and whole, for LlamaCpp; for VLLM a folder with
 * `adapter_config.json` and whole tensors.
 *
 * @throws UserError `ModelNotFound`, `NotAGguf` or `InvalidAdapter`
 */
export async function verifyAdapter(path: string, engine: EngineType): Promise<void> {
  const found = await stat(path).catch(() => undefined);
  if (found === undefined) throw loadError('ModelNotFound', `${path} does not exist; correct model.adapter.uri`);
  if (engine === 'LlamaCpp') {
    if (!found.isFile())
      throw loadError('NotAGguf', `${path} is a folder; LlamaCpp applies one GGUF file, name it in model.adapter.uri`);
    await verifyGgufAdapter(path, found.size);
  } else {
    if (!found.isDirectory())
      throw loadError(code, `${path} is a file; VLLM applies a folder with adapter_config.json, as PEFT writes it`);
    await verifyPeftFolder(path);
  }
}

/** `sha256:…` of the adapter's one file, or of its tensors in a folder. */
export async function adapterDigest(path: string): Promise<string> {
  const found = await stat(path);
  const file = found.isDirectory() ? join(path, await tensorsIn(path)) : path;
  return `sha256:${await digestOf(file, 'sha256', (await stat(file)).size)}`;
}

async function verifyGgufAdapter(path: string, size: number): Promise<void> {
  await verifyGgufHead(path, 'model.adapter');
  const header = await headerOf(path, code);
  const name = basename(path);
  const [kind, method] = ['general.type', 'adapter.type'].map((key) => header.texts.get(key));
  if (kind !== 'adapter') {
    const is = kind === undefined ? 'does not say that it is an adapter' : `is of type ${kind}, not adapter`;
    throw loadError(code, `${name} ${is}; convert a LoRA adapter with convert_lora_to_gguf.py`);
  }
  if (method !== 'lora') throw loadError(code, `${name} is an adapter of type ${method}; llama.cpp applies lora`);
  if (header.bytes > size)
    throw loadError(code, `${name} has ${size} bytes of ${header.bytes}: it was cut short; copy it again`);
  pairsOf(header);
}

/** The two halves of each change, by the tensor that it changes. */
export function pairsOf({ tensors }: GgufHeader): Map<string, { a: number[]; b: number[] }> {
  const pairs = new Map<string, { a: number[]; b: number[] }>();
  for (const [full, { shape }] of tensors) {
    const [, name, half] = /^(.*)\.lora_([ab])$/.exec(full) ?? [];
    if (name === undefined || half !== 'a') continue;
    const other = tensors.get(`${name}.lora_b`)?.shape;
    if (!other) throw loadError(code, `the adapter has ${full}, and no lora_b to it: convert it again`);
    pairs.set(name, { a: shape, b: other });
  }
  if (pairs.size === 0) throw loadError(code, 'the adapter has no tensors of LoRA (lora_a, lora_b): convert it again');
  return pairs;
}

/** The header of a GGUF file, or `failure` for what is none. */
export async function headerOf(path: string, failure: 'InvalidAdapter' | 'InvalidModel'): Promise<GgufHeader> {
  try {
    return await readGgufHeader(path);
  } catch (error) {
    if (!(error instanceof GgufError)) throw error;
    throw loadError(failure, `${basename(path)} ${error.message}`, error);
  }
}

/** https://huggingface.co/docs/peft/developer_guides/checkpoint */
async function verifyPeftFolder(folder: string): Promise<void> {
  const names = await readdir(folder);
  if (!names.includes('adapter_config.json'))
    throw loadError(code, `${folder} has no adapter_config.json; VLLM applies adapters as PEFT writes them`);
  const config = (await readJsonObject(join(folder, 'adapter_config.json'), code)) as { peft_type?: unknown };
  if (config.peft_type !== 'LORA')
    throw loadError(
      code,
      `adapter_config.json says peft_type ${JSON.stringify(config.peft_type)}; VLLM applies "LORA"`,
    );
  const tensors = await tensorsIn(folder);
  if (tensors.endsWith('.safetensors')) await verifySafetensors(join(folder, tensors), code);
}

/** The name of the file with the tensors in a PEFT folder. */
export async function tensorsIn(folder: string): Promise<string> {
  const names = await readdir(folder);
  const found = ['adapter_model.safetensors', 'adapter_model.bin', 'adapter_model.pt'].find((name) =>
    names.includes(name),
  );
  if (found === undefined) throw loadError(code, `${folder} has no adapter_model.safetensors; the tensors are missing`);
  return found;
}
