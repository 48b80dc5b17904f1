import { Counter, Gauge, Histogram, type Registry } from 'prom-client';

/** What the router tells of itself. Labels are bounded: policies, their backends, statuses and the reasons of `FailureReason`. */
export interface RouterMetrics {
  requests: Counter<'policy' | 'backend' | 'operation' | 'code'>;
  duration: Histogram<'policy' | 'backend'>;
  firstByte: Histogram<'policy' | 'backend'>;
  inFlight: Gauge;
  attempts: Counter<'policy' | 'backend' | 'outcome'>;
  tokens: Counter<'policy' | 'backend' | 'kind'>;
  routes: Gauge;
  invalidRoutes: Gauge;
  endpoints: Gauge;
}

/** In seconds: a classification takes ten milliseconds, a long text minutes. */
const buckets = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120];

export function createRouterMetrics(registry: Registry): RouterMetrics {
  const registers = [registry];
  return {
    requests: new Counter({
      name: 'cadre_router_requests_total',
      help: 'Requests by what they were answered with; code 499: the client left. No policy: none was found.',
      labelNames: ['policy', 'backend', 'operation', 'code'],
      registers,
    }),
    duration: new Histogram({
      name: 'cadre_router_request_duration_seconds',
      help: 'From the first byte of a request to the end of its answer.',
      labelNames: ['policy', 'backend'],
      buckets,
      registers,
    }),
    firstByte: new Histogram({
      name: 'cadre_router_time_to_first_byte_seconds',
      help: 'From the first byte of a request to the first byte of its answer, for streams.',
      labelNames: ['policy', 'backend'],
      buckets,
      registers,
    }),
    inFlight: new Gauge({ name: 'cadre_router_requests_in_flight', help: 'Requests being worked on.', registers }),
    attempts: new Counter({
      name: 'cadre_router_upstream_attempts_total',
      help: 'Attempts to have a request answered, by what became of them.',
      labelNames: ['policy', 'backend', 'outcome'],
      registers,
    }),
    tokens: new Counter({
      name: 'cadre_router_tokens_total',
      help: 'Tokens as the upstreams counted them: prompt, completion; of these, cached and reasoning.',
      labelNames: ['policy', 'backend', 'kind'],
      registers,
    }),
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
}
