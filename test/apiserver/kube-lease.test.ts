import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, describe, expect, inject, it } from 'vitest';
import type { Lease } from '../../kube/lease.ts';
import { resources } from '../../kube/resources.ts';
import type { ConfigMap } from '../../kube/testing/objects.ts';
import { eventually } from '../../process/testing/waiting.ts';
import { makeNamespace, useApiServer } from '../support/api-server.ts';

const world = useApiServer('lease');

interface Candidate {
  child: ChildProcess;
  /** What it said, each with the machine's monotonic time at which it did: two processes can be compared. */
  said: Map<string, bigint>;
  exited: Promise<number | null>;
}

let candidates: Candidate[] = [];
const watches: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const { child } of candidates) child.kill('SIGKILL');
  await Promise.all(candidates.map(({ exited }) => exited));
  candidates = [];
  for (const end of watches.splice(0)) await end();
});

function stand(namespace: string, lingerMs = 0): Candidate {
  const script = join(import.meta.dirname, '../support/leader.ts');
  const child = spawn(process.execPath, [script, inject('kubeconfig'), namespace, String(lingerMs)], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const said: Candidate['said'] = new Map();
  createInterface({ input: child.stderr }).on('line', (line) => {
    const [what = '', at = '0'] = line.split(' ');
    said.set(what, BigInt(at));
  });
  const exited = new Promise<number | null>((resolve) => child.once('exit', (code) => resolve(code)));
  const candidate = { child, said, exited };
  candidates.push(candidate);
  return candidate;
}

const saidBy = ({ said }: Candidate, what: string): Promise<bigint> =>
  eventually(`"${what}" after ${[...said.keys()].join(', ')}`, () => {
    const at = said.get(what);
    if (at === undefined) throw new Error(`it said ${[...said.keys()].join(', ')}`);
    return at;
  });

/**
 * Two candidates, of which the first leads, and a record of who worked, in the order in which the API server took it.
 */
async function election(lingerMs = 0): Promise<{
  namespace: string;
  leader: Candidate;
  rival: Candidate;
  lease: () => Promise<Lease>;
  /** The process ids whose work was taken, one for each turn. */
  turns: () => number[];
}> {
  const namespace = `${world.namespace}-${Math.random().toString(36).slice(2, 8)}`;
  await makeNamespace(world.kube, namespace);
  const turns: number[] = [];
  const watching = new AbortController();
  const leader = stand(namespace, lingerMs);
  await saidBy(leader, 'leading');
  const { resourceVersion } = await world.kube.list(resources.configMaps, { namespace }, { limit: 1 });
  const watch = async (): Promise<void> => {
    const options = { resourceVersion, timeoutSeconds: 600, signal: watching.signal };
    const events = world.kube.watch<ConfigMap>(resources.configMaps, { namespace }, options);
    for await (const event of events) {
      if (event.type === 'BOOKMARK' || event.object.metadata.name !== 'work') continue;
      const by = Number(event.object.data?.['by']);
      if (turns.at(-1) !== by) turns.push(by);
    }
  };
  const watched = watch();
  watches.push(() => {
    watching.abort();
    return watched;
  });
  const rival = stand(namespace);
  await saidBy(rival, 'standing');
  return {
    namespace,
    leader,
    rival,
    lease: () => world.kube.get<Lease>(resources.leases, 'election', namespace),
    turns: () => turns,
  };
}

const pids = (...all: Candidate[]): number[] => all.map(({ child }) => child.pid ?? 0);

describe('of two processes that share a lease', () => {
  it('one works, and the other takes over when it is killed', async () => {
    const { leader, rival, turns, lease } = await election();
    expect([...rival.said.keys()]).not.toContain('leading');
    leader.child.kill('SIGKILL');
    await saidBy(rival, 'leading');
    await eventually('work of the rival', () => expect(turns()).toEqual(pids(leader, rival)));
    expect((await lease()).spec?.leaseTransitions).toBe(1);
  });

  it('the other takes over when the first shuts down, without waiting for the lease to run out', async () => {
    const { leader, rival, turns, lease } = await election();
    const held = await lease();
    leader.child.kill('SIGTERM');
    await saidBy(leader, 'stopped');
    expect(await leader.exited).toBe(0);
    expect((await lease()).spec?.holderIdentity).not.toBe(held.spec?.holderIdentity);
    await saidBy(rival, 'leading');
    await eventually('work of the rival', () => expect(turns()).toEqual(pids(leader, rival)));
  });

  it('the first keeps the lease while its last work ends', async () => {
    const { leader, rival, turns } = await election(10_000);
    leader.child.kill('SIGTERM');
    await saidBy(leader, 'stopping');
    const stopped = await saidBy(leader, 'stopped');
    expect(await saidBy(rival, 'leading')).toBeGreaterThan(stopped);
    await eventually('work of the rival', () => expect(turns()).toEqual(pids(leader, rival)));
  });

  it('one that was frozen and wakes up after the other took over writes nothing, and ends', async () => {
    const { leader, rival, turns } = await election();
    leader.child.kill('SIGSTOP');
    await saidBy(rival, 'leading');
    await eventually('work of the rival', () => expect(turns()).toEqual(pids(leader, rival)));
    leader.child.kill('SIGCONT');
    // Its time was over while it could not stop its work: nothing but its end is safe.
    expect(await leader.exited).toBe(1);
    expect(turns()).toEqual(pids(leader, rival));
  });
});
