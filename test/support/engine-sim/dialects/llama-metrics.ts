import { family } from '../core/exposition.ts';
import type { Scheduler } from '../core/scheduler.ts';

/** All of llama-server's metrics: no labels, no histograms. */
export function llamaMetrics({ totals, running, waiting }: Scheduler): string {
  const { promptTokens, cachedTokens, generatedTokens, prefillSeconds, decodeSeconds, steps, busySteps, longest } =
    totals;
  const rate = (count: number, seconds: number): number => (seconds > 0 ? count / seconds : 0);
  const counters: [string, number, string][] = [
    ['prompt_tokens_total', promptTokens, 'Number of prompt tokens processed, excluding cached tokens'],
    ['prompt_tokens_cached_total', cachedTokens, 'Number of prompt tokens reused from the cache'],
    ['prompt_seconds_total', prefillSeconds, 'Total time spent processing prompts'],
    ['tokens_predicted_total', generatedTokens, 'Number of generation tokens processed'],
    ['tokens_predicted_seconds_total', decodeSeconds, 'Total time spent generating tokens'],
    ['n_decode_total', steps, 'Total number of llama_decode() calls'],
    ['n_tokens_max', longest, 'Largest observed sequence length (prompt + generation)'],
    ['spec_decode_num_draft_tokens_total', 0, 'Speculative: Total draft tokens generated'],
    ['spec_decode_num_accepted_tokens_total', 0, 'Speculative: Total draft tokens accepted by the target model'],
    ['spec_decode_num_drafts_total', 0, 'Speculative: Total speculative decoding verification steps'],
  ];
  const gauges: [string, number, string][] = [
    ['prompt_tokens_seconds', rate(promptTokens, prefillSeconds), 'Average prompt throughput in tokens/s'],
    ['predicted_tokens_seconds', rate(generatedTokens, decodeSeconds), 'Average generation throughput in tokens/s'],
    ['requests_processing', running, 'Number of requests processing'],
    ['requests_deferred', waiting, 'Number of requests deferred'],
    ['n_busy_slots_per_decode', rate(busySteps, steps), 'Average number of busy slots per llama_decode() call'],
  ];
  const text =
    (type: 'counter' | 'gauge') =>
    ([name, value, help]: [string, number, string]): string =>
      family(`llamacpp:${name}`, type, help, [`llamacpp:${name} ${value}`]);
  return [...counters.map(text('counter')), ...gauges.map(text('gauge'))].join('');
}
