import { performance } from 'node:perf_hooks';
import { type BackendSeries, count } from '../metrics.ts';
import { costOfAttempt, costOfAttempts, type Outcome, outcomeOf } from './cost.ts';
import type { Attempt, Exchange, RouterContext } from './exchange.ts';

/** Counts a request that has come to its end, and logs it if it is in the sample. Never a prompt, never a key. */
export function meter(exchange: Exchange, { metrics, log, config, random }: RouterContext): void {
  const { endpoint, status, usage, confidence, attempts, startedAt, firstByteAt, stream } = exchange;
  const { escalations, notEscalated } = exchange;
  const policy = exchange.route?.longName ?? '';
  const told = exchange.answer ?? attempts.at(-1);
  const backend = told?.backend.name ?? '';
  const seconds = (performance.now() - startedAt) / 1000;

  const series = metrics.series(policy, backend);
  count(series.requests, `${endpoint.name} ${status}`);
  if (told) series.duration.observe(seconds);
  if (stream && firstByteAt > 0) series.firstByte.observe((firstByteAt - startedAt) / 1000);
  const key = exchange.principal?.name ?? '';
  for (const attempt of attempts)
    meterAttempt(
      attempt,
      metrics.series(policy, attempt.backend.name),
      key,
      attempt.outcome ?? outcomeOf(attempt, exchange),
    );
  for (const { from, to, reason } of escalations) count(metrics.series(policy, from).escalations, `${to} ${reason}`);
  if (notEscalated !== undefined) count(series.notEscalated, notEscalated);
  if (!exchange.judgement) meterConfidence(confidence, series);

  const failed = status >= 500;
  if (!failed && random() >= config.accessLog.sample) return;
  const entry = {
    requestId: exchange.id,
    policy,
    key: exchange.principal?.name,
    operation: endpoint.name,
    stream,
    status,
    rule: exchange.rule,
    backend,
    seconds: Math.round(seconds * 1e4) / 1e4,
    tokens: usage,
    costDollars: dollarsOf(exchange),
    confidence: typeof confidence === 'number' ? Math.round(confidence * 1e4) / 1e4 : confidence,
    escalated: escalations.at(-1)?.reason,
    notEscalated,
    attempts: attempts.length > 1 || failed ? attempts.map(describe) : undefined,
  };
  if (failed) log.warn(entry, 'request failed');
  else log.info(entry, 'request');
}

/** Tokens and cost are counted whoever's answer the client got. */
function meterAttempt(attempt: Attempt, series: BackendSeries, key: string, outcome: Outcome): void {
  const { failure, usage, confidence } = attempt;
  count(series.attempts, failure?.reason ?? 'Answered');
  meterConfidence(confidence, series);
  const spending = series.spending.of(key, outcome);
  const cost = costOfAttempt(attempt);
  if (cost === undefined) spending.unknown++;
  else spending.cost += cost;
  if (!usage) return;
  const { tokens } = spending;
  tokens.prompt += usage.prompt;
  tokens.completion += usage.completion;
  tokens.cached += usage.cached;
  tokens.cacheWrite += usage.cacheWrite;
  tokens.reasoning += usage.reasoning;
}

function meterConfidence(confidence: number | 'Unknown' | undefined, series: BackendSeries): void {
  if (confidence === 'Unknown') series.unknownConfidence++;
  else if (confidence !== undefined) series.confidence.observe(confidence);
}

/** A number in a log is for adding up. */
function dollarsOf({ attempts }: Exchange): number | undefined {
  const cost = costOfAttempts(attempts);
  return cost === undefined ? undefined : cost / 1e9;
}

function describe({ backend, upstream, failure, cause }: Attempt) {
  return {
    backend: backend.name,
    endpoint: upstream?.origin,
    outcome: failure?.reason ?? 'Answered',
    why: cause?.message ?? failure?.why ?? failure?.error.message,
  };
}
