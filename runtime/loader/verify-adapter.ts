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

/**
 * Holds an adapter against the weights: both are of one architecture, and each pair of its tensors fits the tensor of the
 * weights that it changes. What llama.cpp's `llama_adapter_lora_init` checks, before the engine crashes on it. For VLLM
 * nothing, as a PEFT folder names its tensors otherwise than the weights do.
 *
 * @throws UserError `AdapterMismatch`
 */
export async function verifyFit(adapterPath: string, modelPath: string, engine: EngineType): Promise<void> {
  if (engine !== 'LlamaCpp') return;
  const [adapter, model] = [await headerOf(adapterPath, code), await headerOf(modelPath, 'InvalidModel')];
  const [trainedFor, served] = [adapter, model].map(({ texts }) => texts.get('general.architecture'));
  if (trainedFor !== served) {
    const cure = 'use the adapter with the weights that it was trained for';
    throw loadError(
      'AdapterMismatch',
      `the adapter is for the architecture ${trainedFor}, and the model is ${served}: ${cure}`,
    );
  }
  // Of weights in several parts, the first has only its own tensors.
  if (/-\d{5}-of-\d{5}\.gguf$/.test(modelPath)) return;
  for (const [name, pair] of pairsOf(adapter)) {
    const changed = model.tensors.get(name)?.shape;
    const cure = 'was it trained for a larger or smaller model of this architecture?';
    if (!changed) {
      throw loadError('AdapterMismatch', `the adapter changes ${name}, which the model does not have: ${cure}`);
    }
    // The rows of the embedding are looked up by token, so its pair stands the other way round.
    const [columns, rows] = name === 'token_embd.weight' ? [pair.b[1], pair.a[1]] : [pair.a[0], pair.b[1]];
    if (changed[0] !== columns || changed[1] !== rows) {
      const sizes = `${columns} × ${rows}, and the model has ${changed.join(' × ')}`;
      throw loadError('AdapterMismatch', `the adapter changes ${name} as one of ${sizes}: ${cure}`);
    }
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
function pairsOf({ tensors }: GgufHeader): Map<string, { a: number[]; b: number[] }> {
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

async function headerOf(path: string, failure: 'InvalidAdapter' | 'InvalidModel'): Promise<GgufHeader> {
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

async function tensorsIn(folder: string): Promise<string> {
  const names = await readdir(folder);
  const found = ['adapter_model.safetensors', 'adapter_model.bin', 'adapter_model.pt'].find((name) =>
    names.includes(name),
  );
  if (found === undefined) throw loadError(code, `${folder} has no adapter_model.safetensors; the tensors are missing`);
  return found;
}
