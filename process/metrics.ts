import { collectDefaultMetrics, Registry } from 'prom-client';

/** One registry a process, with Node's own metrics (CPU, memory, event loop delay, garbage collection). */
export function createRegistry(): Registry {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  return registry;
}
