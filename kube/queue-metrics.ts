import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import type { ObjectKey } from './types.ts';

/** What a queue tells its metrics. */
export interface QueueMetrics {
  added(key: ObjectKey): void;
  retried(): void;
  started(key: ObjectKey): void;
  finished(key: ObjectKey): void;
  dropped(key: ObjectKey): void;
}

/** client-go's buckets for queues: 10 ns to 10 s. */
const buckets = [1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1, 10];

/** The metrics of one queue, under the names that client-go gives them, so that existing dashboards show them. */
export function queueMetrics(registry: Registry, name: string): QueueMetrics {
  const { depth, adds, retries, waited, worked } = metricsIn(registry);
  const addedAt = new Map<ObjectKey, number>();
  const startedAt = new Map<ObjectKey, number>();
  startsIn(registry).set(name, startedAt);
  const labels = { name };
  depth.set(labels, 0);
  return {
    added(key) {
      addedAt.set(key, performance.now());
      adds.inc(labels);
      depth.inc(labels);
    },
    retried: () => retries.inc(labels),
    started(key) {
      const now = performance.now();
      depth.dec(labels);
      waited.observe(labels, (now - (addedAt.get(key) ?? now)) / 1000);
      addedAt.delete(key);
      startedAt.set(key, now);
    },
    finished(key) {
      const now = performance.now();
      worked.observe(labels, (now - (startedAt.get(key) ?? now)) / 1000);
      startedAt.delete(key);
    },
    dropped(key) {
      if (addedAt.delete(key)) depth.dec(labels);
    },
  };
}

interface Metrics {
  depth: Gauge<'name'>;
  adds: Counter<'name'>;
  retries: Counter<'name'>;
  waited: Histogram<'name'>;
  worked: Histogram<'name'>;
}

const made = new WeakMap<Registry, { metrics: Metrics; starts: Map<string, Map<ObjectKey, number>> }>();

/** One set of metrics for all queues of a registry. */
function metricsIn(registry: Registry): Metrics {
  return setOf(registry).metrics;
}

function startsIn(registry: Registry): Map<string, Map<ObjectKey, number>> {
  return setOf(registry).starts;
}

function setOf(registry: Registry): { metrics: Metrics; starts: Map<string, Map<ObjectKey, number>> } {
  const known = made.get(registry);
  if (known) return known;
  const starts = new Map<string, Map<ObjectKey, number>>();
  const common = { labelNames: ['name'] as const, registers: [registry] };
  const metrics = {
    depth: new Gauge({ ...common, name: 'workqueue_depth', help: 'Keys that wait to be worked on.' }),
    adds: new Counter({ ...common, name: 'workqueue_adds_total', help: 'Keys added.' }),
    retries: new Counter({ ...common, name: 'workqueue_retries_total', help: 'Keys added again after a failure.' }),
    waited: new Histogram({
      ...common,
      name: 'workqueue_queue_duration_seconds',
      help: 'How long a key waited before it was worked on.',
      buckets,
    }),
    worked: new Histogram({
      ...common,
      name: 'workqueue_work_duration_seconds',
      help: 'How long the work on a key took.',
      buckets,
    }),
  };
  const ages = (startedAt: Map<ObjectKey, number>): number[] =>
    [...startedAt.values()].map((at) => (performance.now() - at) / 1000);
  void new Gauge({
    ...common,
    name: 'workqueue_unfinished_work_seconds',
    help: 'Seconds of work under way, all keys together.',
    collect() {
      for (const [name, startedAt] of starts)
        this.set(
          { name },
          ages(startedAt).reduce((sum, age) => sum + age, 0),
        );
    },
  });
  void new Gauge({
    ...common,
    name: 'workqueue_longest_running_processor_seconds',
    help: 'How long the oldest work under way has taken.',
    collect() {
      for (const [name, startedAt] of starts) this.set({ name }, Math.max(0, ...ages(startedAt)));
    },
  });
  const set = { metrics, starts };
  made.set(registry, set);
  return set;
}
