import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { EngineType } from '../../crds/v1alpha1/specialized-model.ts';
import { readJsonObject, verifyGgufHead, verifySafetensors } from './files.ts';
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
    await verifyGgufHead(path, 'model');
  } else {
    if (!found.isDirectory())
      throw loadError('InvalidModel', `${path} is a file; VLLM serves a folder with config.json and *.safetensors`);
    await verifyFolder(path);
  }
}

async function verifyFolder(folder: string): Promise<void> {
  const names = await readdir(folder);
  if (!names.includes('config.json'))
    throw loadError('InvalidModel', `${folder} has no config.json; VLLM serves models in the Hugging Face layout`);
  await readJsonObject(join(folder, 'config.json'), 'InvalidModel');
  const tensors = names.filter((name) => name.endsWith('.safetensors'));
  if (tensors.length === 0 && !names.some((name) => /\.(bin|pt|pth)$/.test(name)))
    throw loadError('InvalidModel', `${folder} has no *.safetensors; the weights are missing`);
  for (const name of tensors) await verifySafetensors(join(folder, name), 'InvalidModel');
  if (!names.includes('model.safetensors.index.json')) return;
  const index = (await readJsonObject(join(folder, 'model.safetensors.index.json'), 'InvalidModel')) as {
    weight_map?: Record<string, string>;
  };
  const missing = Object.values(index.weight_map ?? {}).find((name) => !names.includes(name));
  if (missing !== undefined)
    throw loadError('InvalidModel', `model.safetensors.index.json names ${missing}, which is missing in ${folder}`);
}
