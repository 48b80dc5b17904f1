import { Counter, Gauge, type Registry } from 'prom-client';
import { Distribution, durationBuckets, probabilityBuckets, registerHistogram } from './distribution.ts';
import type { FailureReason } from './providers/failure.ts';
import { registerSpending, SpendingBook } from './spending.ts';

/** What is counted of one backend of one policy; no policy where none was found, no backend where none was asked. */
export interface BackendSeries {
  /** By `operation code`. */
  requests: Map<string, number>;
  attempts: Map<FailureReason | 'Answered', number>;
  /** Requests that were taken from this backend to another, by `to reason`. */
  escalations: Map<string, number>;
  /** Answers and errors that were given although they were not trusted, by why. */
  notEscalated: Map<string, number>;
  spending: SpendingBook;
  /** Requests that wait for a place, and how long those that did have waited. */
  queued: number;
  queueWait: Distribution;
  duration: Distribution;
  /** Of streams. */
  firstByte: Distribution;
  /** Of answers that are labels, and of how many of these it is unknown. */
  confidence: Distribution;
  unknownConfidence: number;
}

/**
 * What the router tells of itself. Labels are bounded: policies, their backends, statuses and the reasons of failures. The
 * counts are plain numbers until Prometheus asks, as this is the path of every request.
 */
export interface RouterMetrics {
  series(policy: string, backend: string): BackendSeries;
  /** Forgets the series of policies that are gone. */
  retain(policies: ReadonlySet<string>): void;
  /** Requests being worked on. */
  inFlight: number;
  /** Of the bodies of these requests, as they came. */
  bufferedBytes: number;
  routes: Gauge;
  invalidRoutes: Gauge;
  endpoints: Gauge;
}

/** Adds to a count in a map. */
export function count<K>(counts: Map<K, number>, key: K): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}

export function createRouterMetrics(registry: Registry): RouterMetrics {
  const registers = [registry];
  const policies = new Map<string, Map<string, BackendSeries>>();
  const metrics: RouterMetrics = {
    inFlight: 0,
    bufferedBytes: 0,
    series(policy, backend) {
      let backends = policies.get(policy);
      if (!backends) policies.set(policy, (backends = new Map<string, BackendSeries>()));
      let series = backends.get(backend);
      if (!series) backends.set(backend, (series = newSeries()));
      return series;
    },
    retain(kept) {
      for (const policy of policies.keys()) if (policy !== '' && !kept.has(policy)) policies.delete(policy);
    },
    routes: new Gauge({ name: 'cadre_router_routes', help: 'Routes in the table.', registers }),
    invalidRoutes: new Gauge({
      name: 'cadre_router_invalid_routes',
      help: 'Route Secrets that could not be read; the last good form of each is served, where there was one.',
      registers,
    }),
    endpoints: new Gauge({
      name: 'cadre_router_endpoints',
      help: 'Engine endpoints that get new requests.',
      registers,
    }),
  };
  function* all() {
    for (const [policy, backends] of policies) {
      for (const [backend, series] of backends) yield { labels: { policy, backend }, series };
    }
  }
  void new Gauge({
    name: 'cadre_router_requests_in_flight',
    help: 'Requests being worked on.',
    registers,
    collect() {
      this.set(metrics.inFlight);
    },
  });
  void new Gauge({
    name: 'cadre_router_buffered_request_bytes',
    help: 'Request bodies in memory.',
    registers,
    collect() {
      this.set(metrics.bufferedBytes);
    },
  });
  void new Counter({
    name: 'cadre_router_requests_total',
    help: 'Requests by what they were answered with; code 499: the client left. No policy: none was found.',
    labelNames: ['policy', 'backend', 'operation', 'code'],
    registers,
    collect() {
      this.reset();
      for (const { labels, series } of all()) {
        for (const [key, value] of series.requests) {
          const [operation = '', code = ''] = key.split(' ');
          this.inc({ ...labels, operation, code }, value);
        }
      }
    },
  });
  void new Counter({
    name: 'cadre_router_upstream_attempts_total',
    help: 'Attempts to have a request answered, by what became of them.',
    labelNames: ['policy', 'backend', 'outcome'],
    registers,
    collect() {
      this.reset();
      for (const { labels, series } of all())
        for (const [outcome, value] of series.attempts) this.inc({ ...labels, outcome }, value);
    },
  });
  void new Counter({
    name: 'cadre_router_escalations_total',
    help: 'Requests that were taken from one backend to the next, by why.',
    labelNames: ['policy', 'backend', 'to', 'reason'],
    registers,
    collect() {
      this.reset();
      for (const { labels, series } of all()) {
        for (const [key, value] of series.escalations) {
          const [to = '', reason = ''] = key.split(' ');
          this.inc({ ...labels, to, reason }, value);
        }
      }
    },
  });
  void new Counter({
    name: 'cadre_router_not_escalated_total',
    help: 'Answers and errors that were given although they were not trusted, by why: BudgetExhausted, NextFailed.',
    labelNames: ['policy', 'backend', 'reason'],
    registers,
    collect() {
      this.reset();
      for (const { labels, series } of all())
        for (const [reason, value] of series.notEscalated) this.inc({ ...labels, reason }, value);
    },
  });
  registerSpending(registry, function* () {
    for (const { labels, series } of all()) yield { labels, book: series.spending };
  });
  const distributions = (of: (series: BackendSeries) => Distribution) =>
    function* () {
      for (const { labels, series } of all()) if (of(series).count > 0) yield { labels, distribution: of(series) };
    };
  void new Gauge({
    name: 'cadre_router_queue_length',
    help: 'Requests that wait for a place at a backend with maxConcurrency.',
    labelNames: ['policy', 'backend'],
    registers,
    collect() {
      this.reset();
      for (const { labels, series } of all())
        if (series.queueWait.count + series.queued > 0) this.set(labels, series.queued);
    },
  });
  registerHistogram({
    name: 'cadre_router_queue_wait_seconds',
    help: 'How long requests have waited for a place, whether they got one or not.',
    registry,
    collect: distributions(({ queueWait }) => queueWait),
  });
  registerHistogram({
    name: 'cadre_router_request_duration_seconds',
    help: 'From the first byte of a request to the end of its answer.',
    registry,
    collect: distributions(({ duration }) => duration),
  });
  registerHistogram({
    name: 'cadre_router_time_to_first_byte_seconds',
    help: 'From the first byte of a request to the first byte of its answer, for streams.',
    registry,
    collect: distributions(({ firstByte }) => firstByte),
  });
  registerHistogram({
    name: 'cadre_router_confidence',
    help: 'How sure answers were that are labels, and those that were judged, given or not.',
    registry,
    collect: distributions(({ confidence }) => confidence),
  });
  void new Counter({
    name: 'cadre_router_confidence_unknown_total',
    help: 'Of these answers, those whose confidence is unknown.',
    labelNames: ['policy', 'backend'],
    registers,
    collect() {
      this.reset();
      for (const { labels, series } of all())
        if (series.unknownConfidence > 0) this.inc(labels, series.unknownConfidence);
    },
  });
  return metrics;
}

function newSeries(): BackendSeries {
  return {
    requests: new Map(),
    attempts: new Map(),
    escalations: new Map(),
    notEscalated: new Map(),
    spending: new SpendingBook(),
    queued: 0,
    queueWait: new Distribution(durationBuckets),
    duration: new Distribution(durationBuckets),
    firstByte: new Distribution(durationBuckets),
    confidence: new Distribution(probabilityBuckets),
    unknownConfidence: 0,
  };
}
