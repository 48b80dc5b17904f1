import { readdir, readFile } from 'node:fs/promises';
import { beforeAll, describe, expect, inject, it } from 'vitest';
import { status, up } from '../../hack/local-cluster/cluster.ts';
import { resources } from '../../kube/resources.ts';
import type { KubeObject } from '../../kube/types.ts';
import { eventually } from '../../process/testing/waiting.ts';
import { isLong, measured } from '../support/measured.ts';
import { startTraffic } from '../support/traffic.ts';
import { applyModel, applyPolicy, cadreNamespace, condition, create, settled, useWorld } from '../support/world.ts';

/** How long the API server is away; the full length is the one that is promised. */
const outageMs = isLong ? 60_000 : 12_000;

interface Slice extends KubeObject {
  endpoints?: { conditions?: { ready?: boolean } }[];
}

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
    const inFlightAtKill = clients.inFlight();
    process.kill(victim as number, 'SIGKILL');
    await new Promise((resolve) => setTimeout(resolve, outageMs - (performance.now() - away)));
    await up({ dir: inject('clusterDir'), log: () => undefined });

    const back = performance.now();

    await offerEndpoints('newcomer', 2);
    await eventually('the routers to see endpoints that came after the outage', routersSeeAll, 5_000);
    const seenMs = Math.round(performance.now() - back);
    const report = await clients.stop();
    await measured('api-server-outage', `${outageMs / 1000} s without an API server, an engine killed meanwhile`, {
      'requests a second': 20,
      'requests sent': report.sent,
      'of these streamed': report.streamed,
      failed: report.failures.length,
      'streams cut that had begun on the killed engine': report.cut.length,
      'endpoint change seen, ms after the return': seenMs,
    });
    expect(report.failures).toEqual([]);
    // No more than one engine had under way when it was killed: what a client has read can't be taken back.
    expect(report.cut.length).toBeLessThanOrEqual(inFlightAtKill);
    expect(await restartsOfCadre()).toEqual(restarts);
  });

  /** What Kubernetes writes for the Service of a model with ready pods. */
  async function offerEndpoints(model: string, count: number): Promise<void> {
    const labels = { 'cadre.dev/model': model, 'kubernetes.io/service-name': model };
    await create(world.kube, resources.endpointSlices, {
      metadata: { name: model, namespace: world.namespace, labels },
      addressType: 'IPv4',
      ports: [{ name: 'http', port: 8000, protocol: 'TCP' }],
      endpoints: Array.from({ length: count }, (_, index) => ({
        addresses: [`192.0.2.${index + 1}`],
        conditions: { ready: true },
      })),
    });
  }

  /** Throws unless every router counts as many endpoints as there are. */
  async function routersSeeAll(): Promise<void> {
    const slices = await world.kube.list<Slice>(
      resources.endpointSlices,
      { labelSelector: 'cadre.dev/model' },
      { limit: 0 },
    );
    const ready = slices.items
      .flatMap(({ endpoints }) => endpoints ?? [])
      .filter(({ conditions }) => conditions?.ready);
    const selection = { namespace: cadreNamespace, labelSelector: 'app.kubernetes.io/component=router' };
    const { items } = await world.kube.list<Pod>(resources.pods, selection, { limit: 0 });
    for (const { metadata } of items) {
      const path = `/api/v1/namespaces/${cadreNamespace}/pods/${metadata.name}:8081/proxy/metrics`;
      const seen = /^cadre_router_endpoints (\d+)$/m.exec(await world.cluster.kubectl(['get', '--raw', path]))?.[1];
      expect([metadata.name, Number(seen)]).toEqual([metadata.name, ready.length]);
    }
    expect(items.length).toBeGreaterThan(0);
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
