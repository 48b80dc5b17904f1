import type { EngineType } from '../../../crds/v1alpha1/specialized-model.ts';
import type { Engine } from './engine.ts';
import { llamaCpp } from './llama-cpp.ts';
import { vllm } from './vllm.ts';

/** Every engine there is. */
export const engines: Readonly<Record<EngineType, Engine>> = { LlamaCpp: llamaCpp, VLLM: vllm };
