import type { Constraint } from './constraint.ts';

/** A generation request, read from either API's body. */
export interface Generation {
  api: 'chat' | 'completions';
  prompts: string[];
  n: number;
  /** Undefined: until it ends by itself or the context is full. */
  maxTokens: number | undefined;
  temperature: number;
  seed: number;
  ignoreEos: boolean;
  stop: string[];
  stream: boolean;
  includeUsage: boolean;
  continuousUsage: boolean;
  /** How many alternatives to tell; undefined: no logprobs. */
  logprobs: number | undefined;
  constraint: Constraint | undefined;
  /** Tell probabilities after sampling, of what the constraint or the bias allows, in place of logarithms of all. */
  afterSampling?: boolean;
}

/** The prompt that a chat template makes of messages, in the manner of ChatML. */
export function renderChat(messages: unknown[]): string {
  const turns = messages.map((message) => {
    const { role, content } = (message ?? {}) as { role?: unknown; content?: unknown };
    return `<|im_start|>${String(role)}\n${contentText(content)}<|im_end|>\n`;
  });
  return `${turns.join('')}<|im_start|>assistant\n`;
}

function contentText(content: unknown): string {
  if (typeof content === 'string') return content;
  if (!Array.isArray(content)) return '';
  const texts = content.map((part) => (part as { text?: unknown } | null)?.text);
  return texts.filter((text) => typeof text === 'string').join('');
}

/** What belongs to a body in both dialects; `constraint` and defaults are the dialect's. */
export function commonFields(body: Record<string, unknown>) {
  const { stream_options: options, stop, seed, temperature, n, ignore_eos: ignoreEos, stream } = body;
  const { include_usage: includeUsage, continuous_usage_stats: continuous } = (options ?? {}) as Record<
    string,
    unknown
  >;
  return {
    n: typeof n === 'number' ? n : 1,
    temperature: typeof temperature === 'number' ? temperature : 1,
    seed: typeof seed === 'number' ? seed : 0,
    ignoreEos: ignoreEos === true,
    stop: typeof stop === 'string' ? [stop] : Array.isArray(stop) ? stop.map(String) : [],
    stream: stream === true,
    includeUsage: includeUsage === true,
    continuousUsage: continuous === true,
  };
}

/** `top_logprobs` of a chat with `logprobs: true`, `logprobs` of a completion. */
export function logprobsAsked(api: 'chat' | 'completions', body: Record<string, unknown>): number | undefined {
  if (api === 'completions') return typeof body['logprobs'] === 'number' ? body['logprobs'] : undefined;
  if (body['logprobs'] !== true) return undefined;
  return typeof body['top_logprobs'] === 'number' ? body['top_logprobs'] : 0;
}
