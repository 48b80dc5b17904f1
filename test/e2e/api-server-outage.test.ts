import { readdir, readFile } from 'node:fs/promises';
import { beforeAll, describe, expect, inject, it } from 'vitest';
import { status, up } from '../../hack/local-cluster/cluster.ts';
import { resources } from '../../kube/resources.ts';
import type { KubeObject } from '../../kube/types.ts';
import { eventually } from '../support/eventually.ts';
import { startTraffic } from '../support/traffic.ts';
import { applyModel, applyPolicy, cadreNamespace, condition, settled, useWorld } from '../support/world.ts';

/** How long the API server is away; the full length is the one that is promised. */
const outageMs = process.env['CADRE_TEST_LONG'] ? 60_000 : 12_000;

interface Pod extends KubeObject {
  status: { containerStatuses?: { restartCount: number }[] };
}

describe('while the API server is away', () => {
  const world = useWorld('outage');

  beforeAll(async () => {
    await applyModel(world, 'simulated', {
      task: 'Generation',
      model: { uri: 'pvc://models/vllm' },
      engine: { type: 'VLLM', image: world.cluster.images['engine-sim'] },
      resources: { requests: { cpu: '50m', memory: '64Mi' }, limits: { memory: '256Mi' } },
      replicas: 2,
    });
    await applyPolicy(world, 'chat', {
      backends: [{ name: 'simulated', modelRef: { name: 'simulated' } }],
      split: [{ backend: 'simulated', weight: 1 }],
    });
    await settled(world, 'simulated', 2);
    await condition(world, 'policies', 'chat', { type: 'Ready', status: 'True' });
  });

  it('no request fails, not even when an engine dies that has a sibling', async () => {
    const restarts = await restartsOfCadre();
    const clients = startTraffic({
      url: world.routerUrl,
      key: world.key,
      model: 'chat',
      requestsPerSecond: 20,
      maxInFlight: 100,
    });
    await eventually('the first answers', () => expect(clients.report.servedBy).toHaveProperty('simulated'));

    await stopApiServer();
    const away = performance.now();
    await new Promise((resolve) => setTimeout(resolve, outageMs / 2));
    const [victim] = await enginesOf('simulated');
    process.kill(victim as number, 'SIGKILL');
    await new Promise((resolve) => setTimeout(resolve, outageMs - (performance.now() - away)));
    await up({ dir: inject('clusterDir'), log: () => undefined });

    const back = performance.now();
    await applyModel(world, 'simulated', { ...(await specOf('simulated')), replicas: 3 });
    await condition(world, 'models', 'simulated', { type: 'Ready', status: 'True' });
    console.log(`a change was carried out ${Math.round(performance.now() - back)} ms after the API server's return`);
    const report = await clients.stop();
    expect(report.failures).toEqual([]);
    expect(await restartsOfCadre()).toEqual(restarts);
  });

  async function specOf(name: string): Promise<object> {
    const resource = {
      apiVersion: 'cadre.dev/v1alpha1',
      kind: 'SpecializedModel',
      plural: 'specializedmodels',
      namespaced: true,
    };
    const model = await world.kube.get<KubeObject & { spec: object }>(resource, name, world.namespace);
    return model.spec;
  }

  /** How often each container of operator and router was restarted, by pod. */
  async function restartsOfCadre(): Promise<Record<string, number[]>> {
    const { items } = await world.kube.list<Pod>(resources.pods, { namespace: cadreNamespace }, { limit: 0 });
    return Object.fromEntries(
      items.map(({ metadata, status: { containerStatuses = [] } }) => [
        metadata.name,
        containerStatuses.map(({ restartCount }) => restartCount),
      ]),
    );
  }

  async function stopApiServer(): Promise<void> {
    const parts = await status({ dir: inject('clusterDir'), log: () => undefined });
    const pid = parts?.find(({ part }) => part === 'kube-apiserver')?.process?.pid;
    if (pid === undefined) throw new Error('kube-apiserver does not run');
    process.kill(pid, 'SIGKILL');
  }
});

/** Process ids of a model's engines, as the machine sees them: with the API server away there is nobody else to ask. */
async function enginesOf(model: string): Promise<number[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const commands = await Promise.all(
    pids.map(async (pid) => [pid, await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')] as const),
  );
  return commands
    .filter(([, command]) => command.includes(`--served-model-name\0${model}\0`))
    .map(([pid]) => Number(pid));
}
