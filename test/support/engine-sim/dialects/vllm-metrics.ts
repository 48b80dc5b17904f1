import { family, Histogram } from '../core/exposition.ts';
import type { Ending, Scheduler, Sequence } from '../core/scheduler.ts';

const seconds = [0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80];
const longSeconds = [0.3, 0.5, 0.8, 1, 1.5, 2, 2.5, 5, 10, 15, 20, 30, 40, 50, 60, 120, 240, 480, 960];
const tokens = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000];

/** What vLLM counts beside what the scheduler knows. */
export class VllmMetrics {
  readonly #model: string;
  readonly #startTime = Date.now() / 1000;
  readonly #ended = new Map<string, number>(
    ['stop', 'length', 'abort', 'error', 'repetition'].map((reason) => [reason, 0]),
  );
  readonly #http = new Map<string, number>();
  rejected = 0;
  readonly #histograms = {
    time_to_first_token_seconds: new Histogram(seconds),
    inter_token_latency_seconds: new Histogram(seconds),
    request_time_per_output_token_seconds: new Histogram(seconds),
    e2e_request_latency_seconds: new Histogram(longSeconds),
    request_queue_time_seconds: new Histogram(longSeconds),
    request_inference_time_seconds: new Histogram(longSeconds),
    request_prefill_time_seconds: new Histogram(longSeconds),
    request_decode_time_seconds: new Histogram(longSeconds),
    request_prompt_tokens: new Histogram(tokens),
    request_generation_tokens: new Histogram(tokens),
  };

  constructor(model: string) {
    this.#model = model;
  }

  countHttp(method: string, handler: string, status: number): void {
    const labels = `handler="${handler}",method="${method}",status="${Math.floor(status / 100)}xx"`;
    this.#http.set(labels, (this.#http.get(labels) ?? 0) + 1);
  }

  countEnd(reason: string, count = 1): void {
    this.#ended.set(reason, (this.#ended.get(reason) ?? 0) + count);
  }

  /** `now` on the clock of the sequence's times, in which `lastToken` is still the one before. */
  onToken({ times }: Sequence, now: number): void {
    if (times.lastToken === undefined) this.#histograms.time_to_first_token_seconds.observe(now - times.arrived);
    else this.#histograms.inter_token_latency_seconds.observe(now - times.lastToken);
  }

  onEnd({ times, job, produced }: Sequence, ending: Ending): void {
    if (ending !== 'finished') return this.countEnd('abort');
    this.countEnd(job.finish);
    const { arrived, admitted = arrived, firstToken = admitted, ended = firstToken } = times;
    const histograms = this.#histograms;
    histograms.e2e_request_latency_seconds.observe(ended - arrived);
    histograms.request_queue_time_seconds.observe(admitted - arrived);
    histograms.request_inference_time_seconds.observe(ended - admitted);
    histograms.request_prefill_time_seconds.observe(firstToken - admitted);
    histograms.request_decode_time_seconds.observe(ended - firstToken);
    histograms.request_prompt_tokens.observe(job.prompt.length);
    histograms.request_generation_tokens.observe(produced);
    if (produced > 1) histograms.request_time_per_output_token_seconds.observe((ended - firstToken) / (produced - 1));
  }

  text(scheduler: Scheduler): string {
    const { totals, running, waiting, kvUsage } = scheduler;
    const labels = `engine="0",model_name="${this.#model}"`;
    const one = (name: string, type: 'counter' | 'gauge', value: number, help = name): string =>
      family(`vllm:${name}`, type, help, [`vllm:${name}{${labels}} ${value}`]);
    const each = (name: string, type: 'counter' | 'gauge', values: [string, number][]): string =>
      family(
        `vllm:${name}`,
        type,
        name,
        values.map(([more, value]) => `vllm:${name}{${labels},${more}} ${value}`),
      );
    return [
      one('num_requests_running', 'gauge', running, 'Number of requests in model execution batches.'),
      one('num_requests_waiting', 'gauge', waiting, 'Number of requests waiting to be processed.'),
      each('num_requests_waiting_by_reason', 'gauge', [
        ['reason="capacity"', waiting],
        ['reason="deferred"', 0],
      ]),
      one('kv_cache_usage_perc', 'gauge', kvUsage, 'KV-cache usage. 1 means 100 percent usage.'),
      one('prompt_tokens_total', 'counter', totals.promptTokens + totals.cachedTokens),
      one('prompt_tokens_cached_total', 'counter', totals.cachedTokens),
      one('generation_tokens_total', 'counter', totals.generatedTokens),
      one('num_preemptions_total', 'counter', totals.preemptions),
      one('prefix_cache_queries_total', 'counter', totals.promptTokens + totals.cachedTokens),
      one('prefix_cache_hits_total', 'counter', totals.cachedTokens),
      each(
        'request_success_total',
        'counter',
        [...this.#ended].map(([reason, count]) => [`finished_reason="${reason}"`, count]),
      ),
      each('admission_rejections_total', 'counter', [
        ['reason="max_num_queued_reqs"', this.rejected],
        ['reason="max_num_queued_tokens"', 0],
      ]),
      ...Object.entries(this.#histograms).map(([name, histogram]) =>
        family(`vllm:${name}`, 'histogram', name, [histogram.lines(`vllm:${name}`, labels)]),
      ),
      family(
        'http_requests_total',
        'counter',
        'Total number of requests by method, status and handler.',
        [...this.#http].map(([more, count]) => `http_requests_total{${more}} ${count}`),
      ),
      family('process_start_time_seconds', 'gauge', 'Start time of the process since unix epoch in seconds.', [
        `process_start_time_seconds ${this.#startTime}`,
      ]),
      family('process_resident_memory_bytes', 'gauge', 'Resident memory size in bytes.', [
        `process_resident_memory_bytes ${process.memoryUsage.rss()}`,
      ]),
    ].join('');
  }
}
