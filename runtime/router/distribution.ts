import type { MetricValue, Registry } from 'prom-client';

/** In seconds: a classification takes ten milliseconds, a long text minutes. */
export const durationBuckets = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120] as const;

/** Probabilities: finer where policies draw their thresholds. */
export const probabilityBuckets = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 1] as const;

/** How often values up to each bound were seen. */
export class Distribution {
  /** Upper ends of the buckets, ascending. */
  readonly bounds: readonly number[];
  /** By bucket, not cumulative; the last one is of those above all bounds. */
  readonly counts: Float64Array;
  sum = 0;
  count = 0;

  constructor(bounds: readonly number[]) {
    this.bounds = bounds;
    this.counts = new Float64Array(bounds.length + 1);
  }

  observe(value: number): void {
    const { bounds } = this;
    let bucket = 0;
    while (bucket < bounds.length && value > (bounds[bucket] as number)) bucket++;
    this.counts[bucket] = (this.counts[bucket] as number) + 1;
    this.sum += value;
    this.count++;
  }
}

export interface HistogramOptions {
  name: string;
  help: string;
  registry: Registry;
  /** What there is when Prometheus asks. */
  collect: () => Iterable<{ labels: Record<string, string>; distribution: Distribution }>;
}

/** A histogram whose values are kept by whoever observes them, so that observing costs nothing but an addition. */
export function registerHistogram({ name, help, registry, collect }: HistogramOptions): void {
  const get = () => {
    const values: (MetricValue<string> & { metricName: string })[] = [];
    for (const { labels, distribution } of collect()) {
      let total = 0;
      for (const [i, count] of distribution.counts.entries()) {
        total += count;
        const le = distribution.bounds[i] ?? '+Inf';
        values.push({ metricName: `${name}_bucket`, labels: { ...labels, le }, value: total });
      }
      values.push({ metricName: `${name}_sum`, labels, value: distribution.sum });
      values.push({ metricName: `${name}_count`, labels, value: distribution.count });
    }
    return Promise.resolve({ name, help, type: 'histogram', aggregator: 'sum', values });
  };
  // The registry asks a metric for its name and its values only; the type wants prom-client's own classes.
  registry.registerMetric({ name, get } as never);
}
