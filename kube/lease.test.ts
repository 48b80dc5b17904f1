import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { KubeError } from './errors.ts';
import { LeaderElector, type LeaderElectorOptions, type Lease } from './lease.ts';
import { silent } from './testing/objects.ts';
import type { Cluster, KubeObject } from './types.ts';

const timing = { leaseMs: 15_000, renewMs: 10_000, retryMs: 2000 };

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

/** One Lease in memory, with the API server's optimistic locking. */
class Leases {
  lease: Lease | undefined;
  #version = 0;
  /** Candidates whose connection is gone. */
  readonly cutOff = new Set<string>();

  clusterOf(identity: string): Cluster {
    const reach = (): void => {
      if (this.cutOff.has(identity)) throw new KubeError('TimedOut', 'no answer');
    };
    const store = <T extends KubeObject>(object: T): T => {
      this.#version++;
      this.lease = structuredClone({
        ...object,
        metadata: { ...object.metadata, resourceVersion: String(this.#version) },
      }) as unknown as Lease;
      return structuredClone(this.lease) as unknown as T;
    };
    const cluster: Pick<Cluster, 'get' | 'create' | 'replace'> = {
      get: async <T>(): Promise<T> => {
        reach();
        if (!this.lease) throw new KubeError('NotFound', 'none');
        return structuredClone(this.lease) as unknown as T;
      },
      create: async (_, object) => {
        reach();
        if (this.lease) throw new KubeError('AlreadyExists', 'one');
        return store(object);
      },
      replace: async (_, object) => {
        reach();
        if (object.metadata.resourceVersion !== this.lease?.metadata.resourceVersion) {
          throw new KubeError('Conflict', 'changed');
        }
        return store(object);
      },
    };
    return cluster as Cluster;
  }
}

interface Candidate {
  elector: LeaderElector;
  log: string[];
  running: Promise<void>;
  shutdown: AbortController;
}

/** A candidate whose work takes `windDownMs` to end once it is told to. */
function stand(
  leases: Leases,
  identity: string,
  log: string[],
  windDownMs = 0,
  more: Partial<LeaderElectorOptions> = {},
): Candidate {
  const shutdown = new AbortController();
  const elector = new LeaderElector({
    cluster: leases.clusterOf(identity),
    namespace: 'default',
    name: 'test',
    identity,
    timing,
    log: silent,
    exit: () => log.push(`${identity} exits`),
    async lead(signal) {
      log.push(`${identity} works`);
      await new Promise((resolve) => signal.addEventListener('abort', resolve));
      await new Promise((resolve) => setTimeout(resolve, windDownMs));
      log.push(`${identity} ended`);
    },
    ...more,
  });
  return { elector, log, shutdown, running: elector.run(shutdown.signal) };
}

describe('a leader', () => {
  it('stops its work when it cannot renew, before a rival starts, and stands again', async () => {
    const leases = new Leases();
    const log: string[] = [];
    const a = stand(leases, 'a', log, 3000);
    await vi.advanceTimersByTimeAsync(1);
    const b = stand(leases, 'b', log);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(log).toEqual(['a works']);
    expect([a.elector.leading, b.elector.leading]).toEqual([true, false]);

    leases.cutOff.add('a');
    await vi.advanceTimersByTimeAsync(60_000);
    expect(log).toEqual(['a works', 'a ended', 'b works']);
    expect([a.elector.leading, b.elector.leading]).toEqual([false, true]);

    leases.cutOff.delete('a');
    leases.cutOff.add('b');
    await vi.advanceTimersByTimeAsync(60_000);
    expect(log).toEqual(['a works', 'a ended', 'b works', 'b ended', 'a works']);
    for (const one of [a, b]) one.shutdown.abort();
    await vi.advanceTimersByTimeAsync(60_000);
  });

  it('ends its process when its work has not ended although a rival may start', async () => {
    const leases = new Leases();
    const log: string[] = [];
    stand(leases, 'a', log, 3_600_000);
    await vi.advanceTimersByTimeAsync(1);
    stand(leases, 'b', log);
    leases.cutOff.add('a');
    await vi.advanceTimersByTimeAsync(60_000);
    expect(log).toEqual(['a works', 'a exits', 'b works']);
  });

  it('stops at once when somebody else has taken the lease', async () => {
    const leases = new Leases();
    const log: string[] = [];
    const a = stand(leases, 'a', log);
    await vi.advanceTimersByTimeAsync(5000);
    const stolen = leases.lease;
    const thief = { ...stolen?.spec, holderIdentity: 'thief' };
    if (stolen) await leases.clusterOf('thief').replace<Lease>({} as never, { ...stolen, spec: thief });
    await vi.advanceTimersByTimeAsync(timing.retryMs);
    expect(log).toEqual(['a works', 'a ended']);
    expect(a.elector.leading).toBe(false);
    a.shutdown.abort();
    await a.running;
  });

  it('keeps the lease when somebody only labels it', async () => {
    const leases = new Leases();
    const log: string[] = [];
    const a = stand(leases, 'a', log);
    await vi.advanceTimersByTimeAsync(5000);
    const lease = leases.lease;
    if (lease) {
      const metadata = { ...lease.metadata, labels: { seen: 'yes' } };
      await leases.clusterOf('human').replace<Lease>({} as never, { ...lease, metadata });
    }
    await vi.advanceTimersByTimeAsync(60_000);
    expect(log).toEqual(['a works']);
    expect(leases.lease?.metadata.labels).toEqual({ seen: 'yes' });
    a.shutdown.abort();
    await vi.advanceTimersByTimeAsync(1);
    await a.running;
  });

  it('gives the lease back at a shutdown, after its work has ended', async () => {
    const leases = new Leases();
    const log: string[] = [];
    const a = stand(leases, 'a', log, 20_000);
    await vi.advanceTimersByTimeAsync(1);
    const b = stand(leases, 'b', log);
    a.shutdown.abort();
    await vi.advanceTimersByTimeAsync(19_000);
    expect(leases.lease?.spec?.holderIdentity).toBe('a');
    await vi.advanceTimersByTimeAsync(1500);
    await a.running;
    await vi.advanceTimersByTimeAsync(4000);
    expect(log).toEqual(['a works', 'a ended', 'b works']);
    expect(b.elector.leading).toBe(true);
  });

  it('tells its caller when its work failed', async () => {
    const leases = new Leases();
    const failing = stand(leases, 'a', [], 0, { lead: () => Promise.reject(new Error('broken')) });
    await expect(failing.running).rejects.toThrow('broken');
    expect(leases.lease?.spec?.holderIdentity).toBeUndefined();
  });
});

describe('a candidate', () => {
  it('judges a lease by when it saw it change, not by the clock of its holder', async () => {
    const leases = new Leases();
    const log: string[] = [];
    const ago = new Date(Date.now() - 86_400_000).toISOString().replace('Z', '000Z');
    const spec = { holderIdentity: 'old', leaseDurationSeconds: 15, renewTime: ago };
    const held = { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata: { name: 'test' }, spec };
    await leases.clusterOf('old').create<Lease>({} as never, held);
    const b = stand(leases, 'b', log);
    await vi.advanceTimersByTimeAsync(14_000);
    expect(log).toEqual([]);
    await vi.advanceTimersByTimeAsync(4000);
    expect(log).toEqual(['b works']);
    expect(leases.lease?.spec).toMatchObject({ holderIdentity: 'b', leaseTransitions: 1 });
    b.shutdown.abort();
    await vi.advanceTimersByTimeAsync(1);
    await b.running;
  });
});
