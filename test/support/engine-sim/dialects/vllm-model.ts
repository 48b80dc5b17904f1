import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { FlagError } from '../core/flags.ts';

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
