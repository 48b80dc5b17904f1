import { performance } from 'node:perf_hooks';
import type { Exchange, RouterContext } from './exchange.ts';

/** Counts a request that has come to its end, and logs it if it is in the sample. Never a prompt, never a key. */
export function meter(exchange: Exchange, { metrics, log, config, random }: RouterContext): void {
  const { operation, status, usage, attempts, startedAt, firstByteAt, stream } = exchange;
  const policy = exchange.route?.longName ?? '';
  const last = attempts.at(-1);
  const backend = last?.backend.name ?? '';
  const seconds = (performance.now() - startedAt) / 1000;

  metrics.requests.inc({ policy, backend, operation: operation.name, code: String(status) });
  if (last) metrics.duration.observe({ policy, backend }, seconds);
  if (stream && firstByteAt > 0) metrics.firstByte.observe({ policy, backend }, (firstByteAt - startedAt) / 1000);
  for (const attempt of attempts) {
    metrics.attempts.inc({
      policy,
      backend: attempt.backend.name,
      outcome: attempt.failure?.reason ?? 'Answered',
    });
  }
  if (usage) {
    for (const [kind, count] of Object.entries(usage))
      if (count > 0) metrics.tokens.inc({ policy, backend, kind }, count);
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
    why: cause?.message ?? failure?.error.message,
  };
}
