import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { inParallel } from '../../hack/in-parallel.ts';
import type { ControlPlane } from '../../hack/local-cluster/control-plane.ts';
import { type Api, openApi } from './api.ts';
import { serviceAccount } from './control-plane.ts';
import { type Figures, idleSeconds } from './figures.ts';
import { aModel, childCollections, group } from './fleet.ts';
import type { Floor } from './floor.ts';
import { type OperatorProcess, startOperator } from './operator-process.ts';
import { say, until } from './progress.ts';

/** What the chart's `NODE_OPTIONS` come to with its memory limit of 512 MiB. */
const nodeFlags = ['--max-old-space-size=384', '--max-semi-space-size=4'];

/** What the bare script takes for so many models. */
export async function measureFloor({ url, caFile, adminCert, adminKey }: ControlPlane, models: number): Promise<Floor> {
  const script = join(import.meta.dirname, 'floor.ts');
  const access = JSON.stringify({ url, caFile, adminCert, adminKey });
  const { stdout } = await promisify(execFile)(process.execPath, [script, access, 'fleet', String(models)]);
  return JSON.parse(stdout) as Floor;
}

/** What the operator takes for so many models, from the first create until it has been at rest for a while. */
export async function measureOperator(
  plane: ControlPlane,
  dir: string,
  { models, floor, profile }: { models: number; floor: Floor; profile: string | undefined },
): Promise<Figures> {
  const api = await openApi(plane, 16);
  const watching = await openApi(plane, 1);
  const operator = await startOperator({
    dir,
    server: plane.url,
    serviceAccountDir: await serviceAccount(api, plane.caFile, dir),
    main: join(import.meta.dirname, '../../dist/cli/main.js'),
    nodeFlags: [...nodeFlags, ...(profile === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profile}`])],
  });
  const ended = new AbortController();
  try {
    await until('the operator to lead', 60, () => operator.leads());
    const startCpuSeconds = await operator.cpuSeconds();
    const settled = new Set<string>();
    const watch = watching.watch(
      `${group}/namespaces/fleet/specializedmodels?watch=true`,
      ended.signal,
      (_, object) => {
        if (hasStatus(object)) settled.add(object.metadata.name);
      },
    );
    const began = performance.now();
    const elapsed = (): number => (performance.now() - began) / 1000;
    await inParallel(models, 16, async (index) => {
      await api.send('POST', `${group}/namespaces/fleet/specializedmodels`, aModel('fleet', index));
    });
    say(`${models} models created in ${elapsed().toFixed(1)} s`);
    await until(
      'every model to have a status',
      60 * 60,
      async () => {
        await operator.assertRuns();
        return settled.size === models;
      },
      () => `${settled.size} of ${models}`,
    );
    await until('every child', 600, () => hasChildren(api, models));
    const wallSeconds = elapsed();
    const wallCpuSeconds = await operator.cpuSeconds();
    say(`children and status of all after ${wallSeconds.toFixed(1)} s; waiting until nothing is written any more`);
    const settledSeconds = await settle(operator, elapsed);
    const [calls, cpu] = [await operator.calls(), await operator.cpuSeconds()];
    say(`at rest after ${settledSeconds.toFixed(0)} s; watching that for ${idleSeconds} s`);
    await sleep(idleSeconds * 1000);
    const [later, laterCpu, memory] = [
      await operator.calls(),
      await operator.cpuSeconds(),
      await operator.memoryBytes(),
    ];
    ended.abort();
    await watch;
    return {
      models,
      wallSeconds,
      floorWallSeconds: floor.wallSeconds,
      floorCpuSeconds: floor.cpuSeconds,
      cpuSeconds: cpu,
      peakMemoryBytes: memory.peak,
      writes: calls.writes,
      idleWrites: later.writes - calls.writes,
      idleCpuSeconds: laterCpu - cpu,
      callsByVerb: calls.byVerb,
      startCpuSeconds,
      wallCpuSeconds,
      settledSeconds,
      idleMemoryBytes: memory.now,
    };
  } finally {
    ended.abort();
    await operator.stop();
    await Promise.all([api.close(), watching.close()]);
  }
}

function hasStatus(object: { metadata: { generation?: number }; status?: unknown }): boolean {
  const status = object.status as { observedGeneration?: number; conditions?: { type: string }[] } | undefined;
  const ready = status?.conditions?.some(({ type }) => type === 'Ready') ?? false;
  return ready && status?.observedGeneration === object.metadata.generation;
}

async function hasChildren(api: Api, models: number): Promise<boolean> {
  for (const { api: prefix, plural } of Object.values(childCollections)) {
    if ((await api.count(`${prefix}/namespaces/fleet/${plural}`)) < models) return false;
  }
  return true;
}

/** Waits until the operator has written nothing for 20 s; the time of the last write. */
async function settle(operator: OperatorProcess, elapsed: () => number): Promise<number> {
  let [writes, since] = [-1, elapsed()];
  while (elapsed() - since < 20) {
    const now = (await operator.calls()).writes;
    if (now !== writes) [writes, since] = [now, elapsed()];
    await sleep(1000);
  }
  return since;
}
