import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { EngineType } from '../../crds/v1alpha1/specialized-model.ts';
import type { UserError } from '../../process/errors.ts';
import { readJsonObject, type Safetensors, verifySafetensors } from './files.ts';
import { loadError } from './report.ts';
import { headerOf, pairsOf, tensorsIn } from './verify-adapter.ts';

/**
 * Holds an adapter against the weights, by what their headers say, before the engine crashes on it.
 *
 * @throws UserError `AdapterMismatch`
 */
export function verifyFit(adapterPath: string, modelPath: string, engine: EngineType): Promise<void> {
  return engine === 'LlamaCpp' ? verifyGgufFit(adapterPath, modelPath) : verifyPeftFit(adapterPath, modelPath);
}

/** What llama.cpp's `llama_adapter_lora_init` checks: one architecture, and tensors that are there and as large. */
async function verifyGgufFit(adapterPath: string, modelPath: string): Promise<void> {
  const [adapter, model] = [await headerOf(adapterPath, 'InvalidAdapter'), await headerOf(modelPath, 'InvalidModel')];
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
    const [columns, rows] = model.tensors.get(name)?.shape ?? [];
    if (columns === undefined) throw absent(name);
    // The rows of the embedding are looked up by token, so its pair stands the other way round.
    const changes = name === 'token_embd.weight' ? [pair.b[1], pair.a[1]] : [pair.a[0], pair.b[1]];
    if (changes[0] !== columns || changes[1] !== rows) throw otherSize(name, changes, [columns, rows]);
  }
}

const halves = /^base_model\.model\.(.+)\.lora_([AB])\.weight$/;

/**
 * The same for a PEFT folder, as far as its names are those of the weights; vLLM knows more of them. What is not found is left
 * to the engine, except for a layer beyond the last one.
 */
async function verifyPeftFit(adapterPath: string, modelPath: string): Promise<void> {
  const file = await tensorsIn(adapterPath);
  const config = (await readJsonObject(join(adapterPath, 'adapter_config.json'), 'InvalidAdapter')) as {
    fan_in_fan_out?: unknown;
  };
  // Such weights are stored the other way round.
  if (!file.endsWith('.safetensors') || config.fan_in_fan_out === true) return;
  const weights = await tensorsOf(modelPath);
  for (const [full, { shape = [] }] of Object.entries(
    await verifySafetensors(join(adapterPath, file), 'InvalidAdapter'),
  )) {
    const [, module, half] = halves.exec(full) ?? [];
    if (module === undefined) continue;
    const name = `${module}.weight`;
    const found = weights[name];
    if (!found) {
      if (weights[name.replace(/\.layers\.\d+\./, '.layers.0.')]) throw absent(name);
      continue;
    }
    // Quantized weights are packed, and have other shapes.
    if (!found.shape || !/^B?F/.test(found.dtype ?? '')) continue;
    const [at, own] = half === 'A' ? [1, shape[1]] : [0, shape[0]];
    if (own !== found.shape[at]) {
      const changes = found.shape.map((size, dimension) => (dimension === at ? own : size));
      throw otherSize(name, changes, found.shape);
    }
  }
}

async function tensorsOf(folder: string): Promise<Safetensors> {
  const files = (await readdir(folder)).filter((name) => name.endsWith('.safetensors'));
  const headers = await Promise.all(files.map((name) => verifySafetensors(join(folder, name), 'InvalidModel')));
  return Object.assign({}, ...headers) as Safetensors;
}

const cure = 'was it trained for a larger or smaller model of this architecture?';

function absent(name: string): UserError {
  return loadError('AdapterMismatch', `the adapter changes ${name}, which the model does not have: ${cure}`);
}

function otherSize(name: string, changes: (number | undefined)[], has: (number | undefined)[]): UserError {
  const sizes = `${changes.join(' × ')}, and the model has ${has.join(' × ')}`;
  return loadError('AdapterMismatch', `the adapter changes ${name} as one of ${sizes}: ${cure}`);
}
