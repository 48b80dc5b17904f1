import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { FlagError, type Flags, textFlag } from '../core/flags.ts';

/** What vLLM reads of a model's folder before anything else. */
export interface ModelFolder {
  /** Names of the classes, in order, when the model has a classification head. */
  labels?: string[];
  context?: number;
}

export function readModelFolder(folder: string): ModelFolder {
  let config: Record<string, unknown>;
  try {
    config = JSON.parse(readFileSync(join(folder, 'config.json'), 'utf8')) as Record<string, unknown>;
  } catch {
    throw new FlagError(
      `Invalid repository ID or local directory specified: '${folder}'. It must contain a config.json`,
    );
  }
  const { architectures, id2label, max_position_embeddings: context } = config;
  const classifies =
    Array.isArray(architectures) && architectures.some((name) => String(name).endsWith('ForSequenceClassification'));
  return {
    ...(classifies
      ? { labels: Object.values((id2label ?? { 0: 'LABEL_0', 1: 'LABEL_1' }) as Record<string, string>) }
      : {}),
    ...(typeof context === 'number' ? { context } : {}),
  };
}

/** The adapter of `--lora-modules`, whose folder must be one. It is served beside the base, by its own name. */
export function adapterOf(flags: Flags): { name: string; path: string } | undefined {
  const given = textFlag(flags, '--lora-modules');
  if (given === undefined) return undefined;
  if (flags.get('--enable-lora') !== true)
    throw new FlagError('LoRA is not enabled. Use --enable-lora to enable LoRA.');
  const [name = '', path = ''] = given.includes(',') ? fromJson(given) : given.split(/=(.*)/s);
  if (!existsSync(join(path, 'adapter_config.json'))) {
    throw new FlagError(`Loading lora ${name} failed: No adapter found for ${path}`);
  }
  return { name, path };
}

function fromJson(text: string): [string, string] {
  try {
    const { name, path } = JSON.parse(text) as { name: string; path: string };
    return [name, path];
  } catch {
    throw new FlagError(`Invalid JSON format for --lora-modules: ${text}`);
  }
}
