import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { Gauge, type Registry } from 'prom-client';
import { errorMessage } from '../process/errors.ts';
import type { Logger } from '../process/logger.ts';
import { waitFor } from './back-off.ts';
import { isKubeError } from './errors.ts';
import { microTime } from './micro-time.ts';
import { resources } from './resources.ts';
import type { Cluster, KubeObject } from './types.ts';

/** coordination.k8s.io/v1 Lease. */
export interface Lease extends KubeObject {
  spec?: LeaseSpec;
}

interface LeaseSpec {
  holderIdentity?: string;
  leaseDurationSeconds?: number;
  acquireTime?: string;
  renewTime?: string;
  leaseTransitions?: number;
}

/** Times of leader election, in milliseconds; client-go's defaults. */
export interface LeaseTiming {
  /** How long others wait after the last renewal that they saw. */
  leaseMs: number;
  /** Without a renewal for so long, our work is told to stop. The rest of `leaseMs` is its time to end. */
  renewMs: number;
  /** Between two tries. */
  retryMs: number;
}

const defaultTiming: LeaseTiming = { leaseMs: 15_000, renewMs: 10_000, retryMs: 2000 };

/** So long before a rival may start, a process whose work has not ended ends itself. */
const marginMs = 1000;

export interface LeaderElectorOptions {
  cluster: Cluster;
  namespace: string;
  name: string;
  /** Default: the host's name and a random part, so that a restarted process is a new candidate. */
  identity?: string;
  /** The work. It must end soon after the signal aborts, and then return; it is called again in the next term. */
  lead: (signal: AbortSignal) => Promise<void>;
  log: Logger;
  registry?: Registry;
  timing?: LeaseTiming;
  /** Called when the work has not ended although a rival may start. Default: ends the process. */
  exit?: () => void;
}

/**
 * One leader among the processes that share a Lease. A rival's lease is judged by when *we* last saw it change, never by the
 * clock of another machine; our own by when we *sent* the last renewal that succeeded. So the work here has ended before a
 * rival starts: it is told to stop at `renewMs`, and the process ends itself if it has not stopped by `leaseMs`.
 */
export class LeaderElector {
  readonly identity: string;
  readonly #options: LeaderElectorOptions;
  readonly #timing: LeaseTiming;
  readonly #log: Logger;
  #observed = { spec: '', at: 0 };
  #leader: string | undefined;
  #held: Lease | undefined;
  /** When the renewal that holds now was sent. */
  #renewedAt = Number.NEGATIVE_INFINITY;

  constructor(options: LeaderElectorOptions) {
    this.#options = options;
    this.#timing = options.timing ?? defaultTiming;
    this.identity = options.identity ?? `${hostname()}_${randomUUID()}`;
    this.#log = options.log.child({ lease: `${options.namespace}/${options.name}`, identity: this.identity });
    if (options.registry) masterStatus(options.registry, options.name, () => this.leading);
  }

  /** Whether no other process can be leader now. */
  get leading(): boolean {
    return this.#held !== undefined && performance.now() < this.#renewedAt + this.#timing.leaseMs;
  }

  /** Stands for election until the signal aborts; then resolves once the work has ended and the lease is given back. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const lease = await this.#tryAcquire();
      if (lease) await this.#term(lease, signal);
      else await waitFor(this.#timing.retryMs * (1 + Math.random() / 5), signal);
    }
  }

  async #term(lease: Lease, shutdown: AbortSignal): Promise<void> {
    const { leaseMs, renewMs, retryMs } = this.#timing;
    this.#held = lease;
    this.#log.info('leading');
    const stop = new AbortController();
    const ended = new AbortController();
    const onShutdown = (): void => stop.abort();
    shutdown.addEventListener('abort', onShutdown);
    if (shutdown.aborted) onShutdown();

    // Not by the loop below, whose calls may hang.
    let stopTimer: NodeJS.Timeout | undefined;
    let exitTimer: NodeJS.Timeout | undefined;
    const arm = (stopInMs: number, exitInMs: number): void => {
      clearTimeout(stopTimer);
      clearTimeout(exitTimer);
      stopTimer = setTimeout(() => {
        this.#log.error('the lease could not be renewed in time: stopping work');
        stop.abort();
      }, stopInMs);
      exitTimer = setTimeout(() => this.#exit(), exitInMs);
    };
    const rearm = (): void => {
      const age = performance.now() - this.#renewedAt;
      arm(Math.max(0, renewMs - age), Math.max(0, leaseMs - marginMs - age));
    };
    rearm();

    const work = this.#options.lead(stop.signal).finally(() => ended.abort());
    // It is awaited below; until then its failure is not unhandled.
    work.catch(() => undefined);
    let deposed = false;
    // Goes on while the work winds down: what it still does is covered by the lease.
    while (!ended.signal.aborted) {
      await waitFor(retryMs, ended.signal);
      if (ended.signal.aborted || deposed) continue;
      const outcome = await this.#renew();
      if (outcome === 'Renewed') rearm();
      if (outcome === 'Deposed') {
        deposed = true;
        this.#held = undefined;
        this.#log.error({ leader: this.#leader }, 'another process leads: stopping work');
        stop.abort();
        arm(marginMs, marginMs);
      }
    }
    clearTimeout(stopTimer);
    clearTimeout(exitTimer);
    shutdown.removeEventListener('abort', onShutdown);
    if (this.leading) await this.#release();
    this.#held = undefined;
    this.#log.info('no longer leading');
    await work;
  }

  async #tryAcquire(): Promise<Lease | undefined> {
    const { cluster, namespace, name } = this.#options;
    const { leaseMs, retryMs } = this.#timing;
    const limits = { timeoutMs: Math.max(retryMs, 1000) };
    try {
      let lease: Lease;
      try {
        lease = await cluster.get<Lease>(resources.leases, name, namespace, limits);
      } catch (error) {
        if (!isKubeError(error, 'NotFound')) throw error;
        const { apiVersion, kind } = resources.leases;
        const fresh: Lease = { apiVersion, kind, metadata: { name, namespace }, spec: this.#claim(undefined) };
        return await this.#send(() => cluster.create(resources.leases, fresh, limits));
      }
      const spec = lease.spec ?? {};
      this.#observe(spec);
      const leaseOfHolder = spec.leaseDurationSeconds === undefined ? leaseMs : spec.leaseDurationSeconds * 1000;
      const isOthers = Boolean(spec.holderIdentity) && spec.holderIdentity !== this.identity;
      if (isOthers && performance.now() < this.#observed.at + leaseOfHolder) return undefined;
      return await this.#send(() => cluster.replace(resources.leases, { ...lease, spec: this.#claim(spec) }, limits));
    } catch (error) {
      // Another candidate was quicker, or the server is away: both are cured by the next try.
      const quiet = isKubeError(error, 'Conflict', 'AlreadyExists');
      this.#log[quiet ? 'debug' : 'warn'](`cannot take the lease: ${errorMessage(error)}`);
      return undefined;
    }
  }

  async #renew(): Promise<'Renewed' | 'Failed' | 'Deposed'> {
    const { cluster, namespace, name } = this.#options;
    const limits = { timeoutMs: this.#timing.renewMs / 2 };
    const held = this.#held;
    if (!held) return 'Failed';
    try {
      const spec = { ...held.spec, renewTime: microTime(Date.now()) };
      this.#held = await this.#send(() => cluster.replace(resources.leases, { ...held, spec }, limits));
      return 'Renewed';
    } catch (error) {
      this.#log.warn(`cannot renew the lease: ${errorMessage(error)}`);
      if (!isKubeError(error, 'Conflict', 'NotFound')) return 'Failed';
    }
    // Somebody wrote to it: a label, or us with an answer that got lost, or a rival.
    try {
      const lease = await cluster.get<Lease>(resources.leases, name, namespace, limits);
      this.#observe(lease.spec ?? {});
      if (lease.spec?.holderIdentity !== this.identity) return 'Deposed';
      this.#held = withoutManagedFields(lease);
      return 'Failed';
    } catch (error) {
      return isKubeError(error, 'NotFound') ? 'Deposed' : 'Failed';
    }
  }

  /** So that the next leader need not wait. */
  async #release(): Promise<void> {
    const held = this.#held;
    if (!held) return;
    const { leaseTransitions = 0 } = held.spec ?? {};
    const now = microTime(Date.now());
    const spec: LeaseSpec = { leaseDurationSeconds: 1, leaseTransitions, renewTime: now, acquireTime: now };
    try {
      const limits = { timeoutMs: this.#timing.retryMs };
      await this.#options.cluster.replace(resources.leases, { ...held, spec }, limits);
    } catch (error) {
      this.#log.warn(`cannot give the lease back: ${errorMessage(error)}`);
    }
  }

  /** A write that makes or keeps us leader: the time that counts is before it was sent. */
  async #send(write: () => Promise<Lease>): Promise<Lease> {
    const sentAt = performance.now();
    const lease = await write();
    this.#renewedAt = sentAt;
    this.#observe(lease.spec ?? {});
    return withoutManagedFields(lease);
  }

  #claim(before: LeaseSpec | undefined): LeaseSpec {
    const now = microTime(Date.now());
    return {
      holderIdentity: this.identity,
      leaseDurationSeconds: Math.ceil(this.#timing.leaseMs / 1000),
      acquireTime: now,
      renewTime: now,
      leaseTransitions: before ? (before.leaseTransitions ?? 0) + 1 : 0,
    };
  }

  #observe(spec: LeaseSpec): void {
    const text = JSON.stringify(spec);
    if (text === this.#observed.spec) return;
    this.#observed = { spec: text, at: performance.now() };
    if (spec.holderIdentity === this.#leader) return;
    this.#leader = spec.holderIdentity;
    if (this.#leader && this.#leader !== this.identity)
      this.#log.info({ leader: this.#leader }, 'another process leads');
  }

  #exit(): void {
    this.#log.fatal('work did not stop in time and another process may lead now: ending this process');
    if (this.#options.exit) this.#options.exit();
    else process.exit(1);
  }
}

function withoutManagedFields(lease: Lease): Lease {
  delete (lease.metadata as { managedFields?: unknown }).managedFields;
  return lease;
}

/** controller-runtime's name, so that existing dashboards show it. */
function masterStatus(registry: Registry, name: string, leading: () => boolean): void {
  void new Gauge({
    name: 'leader_election_master_status',
    help: 'Whether this process leads: 1 or 0.',
    labelNames: ['name'],
    registers: [registry],
    collect() {
      this.set({ name }, leading() ? 1 : 0);
    },
  });
}
