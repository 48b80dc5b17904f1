import { Counter, Gauge, Registry } from 'prom-client';

/**
 * The sidecar's own metrics, appended to the engine's. Node's own are left out: their `process_*` would meet those of the
 * engine in one exposition.
 */
export function sidecarMetrics(read: { ready: () => boolean; draining: () => boolean; restarts: () => number }) {
  const registry = new Registry();
  const gauge = (name: string, help: string, value?: () => number): Gauge =>
    new Gauge({
      name,
      help,
      registers: [registry],
      ...(value === undefined
        ? {}
        : {
            collect(this: Gauge) {
              this.set(value());
            },
          }),
    });
  gauge('cadre_engine_ready', '1 when the engine is healthy, warm and not draining.', () => Number(read.ready()));
  gauge('cadre_engine_draining', '1 from the call of /drain until another engine process is warm.', () =>
    Number(read.draining()),
  );
  const warmUpSeconds = gauge(
    'cadre_engine_warm_up_seconds',
    'From the first look at the engine process to the end of its warm-up, last time.',
  );
  const metricsUp = gauge('cadre_engine_metrics_up', "1 when the engine's own metrics could be read for this scrape.");
  const restarts = new Counter({
    name: 'cadre_engine_restarts_total',
    help: 'How often a warm engine went away or came back as another process.',
    registers: [],
    collect() {
      this.reset();
      this.inc(read.restarts());
    },
  });
  registry.registerMetric(restarts);
  return { registry, warmUpSeconds, metricsUp };
}
