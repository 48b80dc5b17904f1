import { z } from 'zod';
import type { HubUri } from '../../../crds/model-uri.ts';
import type { SourceField } from '../../../crds/v1alpha1/model-source.ts';
import type { EngineType } from '../../../crds/v1alpha1/specialized-model.ts';
import { loadError } from '../report.ts';

/**
 * One entry of a repository's tree (https://huggingface.co/docs/hub/api): `oid` is Git's hash of the blob, of large files
 * that of a pointer to them.
 */
export const treeEntry = z.object({
  type: z.string(),
  path: z.string(),
  size: z.int().min(0).default(0),
  oid: z.string().default(''),
  lfs: z.object({ oid: z.string().regex(/^[0-9a-f]{64}$/), size: z.int().min(0) }).optional(),
});
export type TreeEntry = z.infer<typeof treeEntry>;

/** The same weights for other frameworks, and what runs code: vLLM needs neither. */
const otherFormats = /\.(py|msgpack|h5|ot|onnx|onnx_data|gguf|tflite|mlmodel|ckpt|pkl|pickle)$/i;
const pickledWeights = /\.(bin|pt|pth)$/i;
const otherFolders = /^(original|onnx|openvino|coreml|\.[^/]+)\//;

/**
 * Which files of a repository an engine needs: for LlamaCpp the one GGUF file, with its siblings where it is split; for
 * VLLM everything but code, weights of other frameworks, and PyTorch's where safetensors hold the same.
 */
export function neededFiles(files: TreeEntry[], engine: EngineType, uri: HubUri, field: SourceField): TreeEntry[] {
  if (engine === 'LlamaCpp') return ggufFiles(files, uri, field);
  const found = repositoryFiles(files, uri, field);
  // What lies deeper in an adapter's repository are checkpoints of its training.
  return field === 'model.adapter' ? found.filter(({ path }) => !path.includes('/')) : found;
}

function ggufFiles(files: TreeEntry[], uri: HubUri, field: SourceField): TreeEntry[] {
  const repo = `${uri.owner}/${uri.repo}`;
  const { file } = uri;
  if (file === undefined) {
    const choice = files
      .map(({ path }) => path)
      .filter((path) => path.endsWith('.gguf'))
      .slice(0, 10);
    const hint = choice.length > 0 ? `, e.g. hf://${repo}/${choice[0]}` : '; this repository has none';
    throw loadError('InvalidSource', `LlamaCpp serves one GGUF file: name it in ${field}.uri${hint}`);
  }
  const names = new Set(splitNames(file));
  const found = files.filter(({ path }) => names.has(path));
  const missing = [...names].filter((name) => !found.some(({ path }) => path === name));
  if (missing.length > 0)
    throw loadError('ModelNotFound', `there is no ${missing[0]} in ${repo}: correct ${field}.uri`);
  return found;
}

/** `model-00001-of-00003.gguf` stands for three files; llama-server opens the others itself. */
function splitNames(file: string): string[] {
  const split = /^(.*-)(\d{5})-of-(\d{5})\.gguf$/.exec(file);
  if (!split) return [file];
  const [, prefix, , last] = split;
  return Array.from({ length: Number(last) }, (_, at) => `${prefix}${String(at + 1).padStart(5, '0')}-of-${last}.gguf`);
}

function repositoryFiles(files: TreeEntry[], uri: HubUri, field: SourceField): TreeEntry[] {
  if (uri.file !== undefined)
    throw loadError(
      'InvalidSource',
      `VLLM serves a whole repository: use hf://${uri.owner}/${uri.repo} as ${field}.uri`,
    );
  const hasSafetensors = files.some(({ path }) => path.endsWith('.safetensors'));
  return files.filter(({ path }) => {
    if (otherFolders.test(path) || otherFormats.test(path) || path === '.gitattributes') return false;
    return !(hasSafetensors && pickledWeights.test(path));
  });
}
