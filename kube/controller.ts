import { randomUUID } from 'node:crypto';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import { errorMessage } from '../process/errors.ts';
import type { Logger } from '../process/logger.ts';
import { isKubeError } from './errors.ts';
import { type Priority, WorkQueue } from './queue.ts';
import { type ObjectKey, type Requeue, splitKey } from './types.ts';

/** An error that only a change of the object can cure: the key is not tried again until then. */
export class TerminalError extends Error {
  override readonly name = 'TerminalError';
}

/** What a reconcile is given beside its key. */
export interface ReconcileContext {
  /** Carries `controller`, `namespace`, `name` and `reconcileID`. */
  log: Logger;
  /** Aborts when the controller stops and the work has to end. */
  signal: AbortSignal;
}

export interface ControllerOptions {
  /** Label of metrics and logs, e.g. `specializedmodel`. */
  name: string;
  /** Makes the world as the object of this key says; from any state, any number of times. */
  reconcile: (key: ObjectKey, context: ReconcileContext) => Promise<Requeue>;
  /** All keys, looked at once after each start. */
  keys: () => Iterable<ObjectKey>;
  /** Keys worked on at a time. Default: 8. */
  concurrency?: number;
  log: Logger;
  registry?: Registry;
  /** First and longest wait after failures of a key, in milliseconds. Defaults: 5 and 5 minutes. */
  baseDelayMs?: number;
  maxDelayMs?: number;
}

/** Runs one reconcile function over a queue of keys. Can be stopped and started again, as leadership goes and comes. */
export class Controller {
  readonly name: string;
  readonly queue: WorkQueue;
  readonly #options: ControllerOptions;
  readonly #log: Logger;
  readonly #metrics: Recorder | undefined;
  #breathedAt = 0;
  #run: { stopTaking: AbortController; abortWork: AbortController; workers: Promise<unknown> } | undefined;

  constructor(options: ControllerOptions) {
    this.name = options.name;
    this.#options = options;
    this.#log = options.log.child({ controller: options.name });
    const { name, registry, baseDelayMs, maxDelayMs } = options;
    this.queue = new WorkQueue({
      name,
      ...(registry && { registry }),
      ...(baseDelayMs !== undefined && { baseDelayMs }),
      ...(maxDelayMs !== undefined && { maxDelayMs }),
    });
    this.#metrics = registry && recorder(registry, name, options.concurrency ?? defaultConcurrency);
  }

  /** Something about the object changed: it is reconciled soon, also when it just failed and waits. */
  enqueue(key: ObjectKey, priority: Priority = 'High'): void {
    this.queue.add(key, priority);
  }

  start(): void {
    if (this.#run) return;
    const stopTaking = new AbortController();
    const abortWork = new AbortController();
    for (const key of this.#options.keys()) this.queue.add(key, 'Low');
    const workers = Promise.all(
      Array.from({ length: this.#options.concurrency ?? defaultConcurrency }, () =>
        this.#work(stopTaking.signal, abortWork.signal),
      ),
    );
    this.#run = { stopTaking, abortWork, workers };
    this.#log.info('controller started');
  }

  /**
   * Takes no more keys and waits until the work under way has ended; after `deadlineMs` its signal aborts. False when it
   * still has not ended `graceMs` later: whoever needs that it has must end the process.
   */
  async stop(deadlineMs: number, graceMs = 1000): Promise<boolean> {
    const run = this.#run;
    if (!run) return true;
    run.stopTaking.abort();
    let idle = await this.queue.idle(deadlineMs);
    run.abortWork.abort();
    if (!idle) idle = await this.queue.idle(graceMs);
    if (idle) {
      await run.workers;
      this.#run = undefined;
    }
    this.#log.info({ idle }, 'controller stopped');
    return idle;
  }

  async #work(taking: AbortSignal, signal: AbortSignal): Promise<void> {
    for (let key = await this.queue.get(taking); key !== undefined; key = await this.queue.get(taking)) {
      await this.#reconcile(key, signal);
      this.queue.done(key);
      await this.#breathe();
    }
  }

  /** Reconciles that find nothing to do never wait: thousands in a row, as after a start, would hold up the lease. */
  async #breathe(): Promise<void> {
    if (performance.now() - this.#breathedAt < breathMs) return;
    await nextTurn();
    this.#breathedAt = performance.now();
  }

  async #reconcile(key: ObjectKey, signal: AbortSignal): Promise<void> {
    const { namespace, name } = splitKey(key);
    const log = this.#log.child({ ...(namespace && { namespace }), name, reconcileID: randomUUID() });
    const began = performance.now();
    this.#metrics?.began();
    try {
      const requeue = await this.#options.reconcile(key, { log, signal });
      this.queue.forget(key);
      if (requeue !== 'never') this.queue.addAfter(key, requeue.afterMs);
      this.#metrics?.ended(requeue === 'never' ? 'success' : 'requeue_after', began);
    } catch (error) {
      this.#failed(key, error, log, signal);
      this.#metrics?.ended('error', began);
      if (error instanceof TerminalError) this.#metrics?.terminal();
    }
  }

  #failed(key: ObjectKey, error: unknown, log: Logger, signal: AbortSignal): void {
    if (signal.aborted) {
      log.info('reconcile aborted');
      return;
    }
    if (error instanceof TerminalError) {
      this.queue.forget(key);
      log.error(errorMessage(error));
      return;
    }
    const attempt = this.queue.failures(key) + 1;
    // A conflict means that the cache is behind by an event that is on its way: common, and cured by coming back.
    if (isKubeError(error, 'Conflict')) log.debug({ attempt }, errorMessage(error));
    else if (isKubeError(error)) log.warn({ attempt, code: error.code }, errorMessage(error));
    else log.warn({ attempt, err: error }, errorMessage(error));
    this.queue.addRateLimited(key);
  }
}

const defaultConcurrency = 8;
/** The event loop gets its turn after so many milliseconds of work. */
const breathMs = 10;

interface Recorder {
  began(): void;
  ended(result: 'success' | 'error' | 'requeue_after', beganAt: number): void;
  terminal(): void;
}

interface Metrics {
  total: Counter<'controller' | 'result'>;
  errors: Counter<'controller'>;
  terminal: Counter<'controller'>;
  time: Histogram<'controller'>;
  active: Gauge<'controller'>;
  most: Gauge<'controller'>;
}

const made = new WeakMap<Registry, Metrics>();

/** controller-runtime's names, so that existing dashboards show them. */
function metricsIn(registry: Registry): Metrics {
  const known = made.get(registry);
  if (known) return known;
  const common = { labelNames: ['controller'] as const, registers: [registry] };
  const metrics: Metrics = {
    total: new Counter({
      name: 'controller_runtime_reconcile_total',
      help: 'Reconciles by controller and result.',
      labelNames: ['controller', 'result'],
      registers: [registry],
    }),
    errors: new Counter({
      ...common,
      name: 'controller_runtime_reconcile_errors_total',
      help: 'Reconciles that failed.',
    }),
    terminal: new Counter({
      ...common,
      name: 'controller_runtime_terminal_reconcile_errors_total',
      help: 'Reconciles that failed in a way that only a change of the object cures.',
    }),
    time: new Histogram({
      ...common,
      name: 'controller_runtime_reconcile_time_seconds',
      help: 'How long a reconcile took.',
      buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60],
    }),
    active: new Gauge({
      ...common,
      name: 'controller_runtime_active_workers',
      help: 'Keys worked on now.',
    }),
    most: new Gauge({
      ...common,
      name: 'controller_runtime_max_concurrent_reconciles',
      help: 'Keys that may be worked on at a time.',
    }),
  };
  made.set(registry, metrics);
  return metrics;
}

function recorder(registry: Registry, controller: string, concurrency: number): Recorder {
  const { total, errors, terminal, time, active, most } = metricsIn(registry);
  const labels = { controller };
  active.set(labels, 0);
  most.set(labels, concurrency);
  for (const result of ['success', 'error', 'requeue_after']) total.inc({ controller, result }, 0);
  return {
    began: () => active.inc(labels),
    ended(result, beganAt) {
      active.dec(labels);
      total.inc({ controller, result });
      if (result === 'error') errors.inc(labels);
      time.observe(labels, (performance.now() - beganAt) / 1000);
    },
    terminal: () => terminal.inc(labels),
  };
}
