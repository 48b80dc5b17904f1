/** What the simulated engine is like: set by `SIM_…` variables, so that a model's `engine.env` can choose them. */
export interface Settings {
  /** SIM_START_SECONDS: from the start of the process to the first answer. */
  startSeconds: number;
  /** SIM_PREFILL_TOKENS_PER_SECOND: of the whole engine. */
  prefillRate: number;
  /** SIM_DECODE_TOKENS_PER_SECOND: of one sequence alone. */
  decodeRate: number;
  /** SIM_BATCH_SLOWDOWN: how much each further sequence slows all of them; 0.1 halves the speed at eleven. */
  batchSlowdown: number;
  /** SIM_KV_TOKENS: how many tokens of context fit into memory at once. */
  kvTokens: number;
  /** SIM_MODEL_CONTEXT: the context that the model was trained for. */
  modelContext: number;
  /** SIM_ANSWER_TOKENS: typical length of an answer that ends by itself. */
  answerTokens: number;
  /** SIM_FIRST_LOGPROBS_SECONDS: vLLM compiles at the first request with logprobs. */
  firstLogprobsSeconds: number;
  /** SIM_SEED: another model. */
  seed: number;
}

export const defaultSettings: Settings = {
  startSeconds: 0,
  prefillRate: 20_000,
  decodeRate: 400,
  batchSlowdown: 0.02,
  kvTokens: 65_536,
  modelContext: 8_192,
  answerTokens: 24,
  firstLogprobsSeconds: 0,
  seed: 1,
};

const names: Record<keyof Settings, string> = {
  startSeconds: 'SIM_START_SECONDS',
  prefillRate: 'SIM_PREFILL_TOKENS_PER_SECOND',
  decodeRate: 'SIM_DECODE_TOKENS_PER_SECOND',
  batchSlowdown: 'SIM_BATCH_SLOWDOWN',
  kvTokens: 'SIM_KV_TOKENS',
  modelContext: 'SIM_MODEL_CONTEXT',
  answerTokens: 'SIM_ANSWER_TOKENS',
  firstLogprobsSeconds: 'SIM_FIRST_LOGPROBS_SECONDS',
  seed: 'SIM_SEED',
};

export function readSettings(env: Record<string, string | undefined>): Settings {
  const settings = { ...defaultSettings };
  for (const [key, name] of Object.entries(names) as [keyof Settings, string][]) {
    const text = env[name];
    if (text === undefined || text === '') continue;
    const value = Number(text);
    if (!Number.isFinite(value) || value < 0) throw new Error(`${name} must be a number, not ${JSON.stringify(text)}`);
    settings[key] = value;
  }
  return settings;
}
