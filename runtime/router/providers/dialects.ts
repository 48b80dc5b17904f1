import { anthropic } from './anthropic/anthropic.ts';
import type { CallableBackend, Dialect } from './dialect.ts';
import { llamaCpp } from './llama-cpp.ts';
import { openAI } from './openai.ts';
import { vllm } from './vllm.ts';

const engines = { VLLM: vllm, LlamaCpp: llamaCpp };
const providers = { OpenAI: openAI, Anthropic: anthropic };

/** How a backend is spoken to. */
export function dialectOf(backend: CallableBackend): Dialect {
  return backend.kind === 'Model' ? engines[backend.engine] : providers[backend.dialect];
}
