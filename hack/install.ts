import { join } from 'node:path';
import { UserError } from '../process/errors.ts';
import type { Log } from './cache.ts';
import { elapsed } from './command.ts';
import type { Cluster } from './local-cluster/cluster.ts';

export const cadreNamespace = 'cadre-system';
const chart = join(import.meta.dirname, '..', 'charts', 'cadre');

/**
 * Installs the chart in a local cluster, or upgrades it, by Helm as anybody would, with the images that were built here.
 * Resolves once operator and router are ready. `values` are paths of files, as `helm --values` takes them.
 */
export async function installChart(cluster: Cluster, log: Log, values: string[] = []): Promise<void> {
  const began = Date.now();
  log('installing charts/cadre with helm');
  const settings = {
    ...imageSettings(cluster.images['cadre']),
    ...(cluster.images['llama-server'] ? { 'engines.LlamaCpp.image': cluster.images['llama-server'] } : {}),
  };
  const args = ['upgrade', '--install', 'cadre', chart, '--namespace', cadreNamespace, '--create-namespace'];
  const given = values.flatMap((file) => ['--values', file]);
  const set = Object.entries(settings).flatMap(([name, value]) => ['--set-string', `${name}=${value}`]);
  const telling = setInterval(() => void sayPods(cluster, log), 10_000);
  try {
    await cluster.helm([...args, ...given, ...set, '--wait', '--timeout', '5m']);
  } catch (error) {
    await sayPods(cluster, log);
    throw error;
  } finally {
    clearInterval(telling);
  }
  log(`Cadre is installed (${elapsed(began)})`);
}

/** Where this machine reaches the router: Services of the local cluster have addresses that are routed to it. */
export async function routerUrl(cluster: Cluster): Promise<string> {
  const get = ['get', 'service', 'cadre-router', '--namespace', cadreNamespace, '--output=jsonpath={.spec.clusterIP}'];
  return `http://${(await cluster.kubectl(get)).trim()}`;
}

/** The chart's values for an image `localhost/cadre:TAG`. */
function imageSettings(image: string | undefined): Record<string, string> {
  const at = image?.lastIndexOf(':') ?? -1;
  if (!image || at < 0)
    throw new UserError('ImageMissing', 'the local cluster has no image of Cadre: run its "up" again');
  return { 'image.repository': image.slice(0, at), 'image.tag': image.slice(at + 1) };
}

/** What Helm waits for: the pods that are not ready, and why. */
async function sayPods(cluster: Cluster, log: Log): Promise<void> {
  const text = await cluster
    .kubectl(['get', 'pods', '--namespace', cadreNamespace, '--output=json'])
    .catch(() => undefined);
  if (text === undefined) return;
  const { items } = JSON.parse(text) as { items: PodStatus[] };
  for (const { metadata, status } of items) {
    if (status.conditions?.some(({ type, status: value }) => type === 'Ready' && value === 'True')) continue;
    const state = status.containerStatuses?.[0]?.state;
    const why =
      state?.waiting?.reason ?? state?.terminated?.reason ?? (status.phase === 'Running' ? 'starting' : status.phase);
    log(`waiting for pod ${metadata.name}: ${why}`);
  }
}

interface PodStatus {
  metadata: { name: string };
  status: {
    phase: string;
    conditions?: { type: string; status: string }[];
    containerStatuses?: { state?: { waiting?: { reason?: string }; terminated?: { reason?: string } } }[];
  };
}
