import { performance } from 'node:perf_hooks';
import { count } from '../metrics.ts';
import type { Exchange, RouterContext } from './exchange.ts';

/** Counts a request that has come to its end, and logs it if it is in the sample. Never a prompt, never a key. */
export function meter(exchange: Exchange, { metrics, log, config, random }: RouterContext): void {
  const { operation, status, usage, confidence, attempts, startedAt, firstByteAt, stream } = exchange;
  const policy = exchange.route?.longName ?? '';
  const last = attempts.at(-1);
  const backend = last?.backend.name ?? '';
  const seconds = (performance.now() - startedAt) / 1000;

  const series = metrics.series(policy, backend);
  count(series.requests, `${operation.name} ${status}`);
  if (last) series.duration.observe(seconds);
  if (stream && firstByteAt > 0) series.firstByte.observe((firstByteAt - startedAt) / 1000);
  for (const attempt of attempts)
    count(metrics.series(policy, attempt.backend.name).attempts, attempt.failure?.reason ?? 'Answered');
  if (confidence === 'Unknown') series.unknownConfidence++;
  else if (confidence !== undefined) series.confidence.observe(confidence);
  if (usage) {
    series.tokens.prompt += usage.prompt;
    series.tokens.completion += usage.completion;
    series.tokens.cached += usage.cached;
    series.tokens.reasoning += usage.reasoning;
  }

  const failed = status >= 500;
  if (!failed && random() >= config.accessLog.sample) return;
  const entry = {
    requestId: exchange.id,
    route: policy,
    key: exchange.principal?.name,
    operation: operation.name,
    stream,
    status,
    backend,
    seconds: Math.round(seconds * 1e4) / 1e4,
    tokens: usage,
    confidence: typeof confidence === 'number' ? Math.round(confidence * 1e4) / 1e4 : confidence,
    attempts: attempts.length > 1 || failed ? attempts.map(describe) : undefined,
  };
  if (failed) log.warn(entry, 'request failed');
  else log.info(entry, 'request');
}

function describe({ backend, upstream, failure, cause }: Exchange['attempts'][number]) {
  return {
    backend: backend.name,
    endpoint: upstream?.origin,
    outcome: failure?.reason ?? 'Answered',
    why: cause?.message ?? failure?.why ?? failure?.error.message,
  };
}
