import type { TokenUsage } from './document.ts';

/**
 * How the usages in one stream belong together. `Running`: each is the sum so far, so the last one counts. `PerChoice`: each
 * is of one choice; `PerPrompt`: of one choice, with a prompt of its own.
 */
export type UsageKind = 'Running' | 'PerChoice' | 'PerPrompt';

/** The usage of a whole stream, after one more was seen in it. */
export function addUsage(
  before: TokenUsage | undefined,
  now: TokenUsage | undefined,
  kind: UsageKind,
): TokenUsage | undefined {
  if (!now || !before || kind === 'Running') return now ?? before;
  const once = kind === 'PerPrompt' ? (a: number, b: number) => a + b : Math.max;
  return {
    prompt: once(before.prompt, now.prompt),
    cached: once(before.cached, now.cached),
    cacheWrite: once(before.cacheWrite, now.cacheWrite),
    completion: before.completion + now.completion,
    reasoning: before.reasoning + now.reasoning,
  };
}
