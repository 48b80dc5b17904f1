import { readFile } from 'node:fs/promises';
import { errorMessage, UserError } from '../../process/errors.ts';
import type { Log } from '../cache.ts';
import type { Binaries } from './build.ts';
import { makeCgroups } from './cgroups.ts';
import { type Cluster, clusterHandle, ctrCommand } from './cluster-handle.ts';
import { logFile } from './components.ts';
import { ensureClusterImages } from './images.ts';
import { coreDNS, networkPolicyAccess } from './manifests.ts';
import { nodeName, policyRules } from './node-config.ts';
import type { NodeMachine } from './node-machine.ts';
import { configure, type Part, parts, partsOf, type Settings } from './parts.ts';
import { type ClientTls, probe } from './probe.ts';
import { waitUntil } from './processes.ts';
import { loadProductImages, type ProductImage } from './product-images.ts';
import { readImages, writeSettings } from './state.ts';

/** A cluster that is being brought up: what its steps work on. */
interface Site {
  machine: NodeMachine;
  settings: Settings;
  binaries: Binaries;
  cluster: Cluster;
  /** The command line of each part. */
  commands: Record<Part, string[]>;
  /** Of a user who may do everything. */
  tls: ClientTls;
  log: Log;
}

/** Starts what does not run yet of a cluster on its machine. Resolves when its node takes pods and names resolve. */
export async function bringUp(
  machine: NodeMachine,
  settings: Settings,
  binaries: Binaries,
  { log, images }: { log: Log; images: ProductImage[] },
): Promise<Cluster> {
  const { dir, network } = machine;
  const cluster = clusterHandle(machine, settings, binaries, await readImages(dir));
  const site: Site = { machine, settings, binaries, cluster, log, ...(await configure(dir, settings, binaries, log)) };

  await makeCgroups(network);
  await stopOutdated(site);
  for (const part of ['etcd', 'kube-apiserver', 'containerd'] as const) await start(site, part);
  const [{ coredns }] = await Promise.all([loadClusterImages(site), untilApiServerAnswers(site)]);
  const [enforcesPolicies] = await Promise.all([
    queuePackets(site),
    cluster.apply([...coreDNS(coredns.name, network), ...networkPolicyAccess('cadre-local-network-policies')]),
  ]);
  const decided = { ...settings, enforcesPolicies };
  await writeSettings(dir, decided);
  for (const part of partsOf(decided)) await start(site, part);
  // An image that can't be built, say for an error in a source file, is reported when the cluster stands.
  const loading = loadProductImages(cluster, images, log).then(
    () => undefined,
    (error: unknown) => error,
  );
  await untilNodeIsReady(site);
  await untilNamesResolve(site);
  const problem = await loading;
  if (problem) throw problem;
  return { ...cluster, enforcesPolicies, images: await readImages(dir) };
}

/** Whatever runs with an older program or other flags is ended, and pods live on; the last one started ends first. */
async function stopOutdated({ machine, commands }: Site): Promise<void> {
  for (const part of parts.toReversed()) if (!(await machine.running(part, commands[part]))) await machine.stop(part);
}

async function start({ machine, binaries, commands, log }: Site, part: Part): Promise<void> {
  if (await machine.running(part)) return;
  // containerd looks for its runtime there.
  const environment = part === 'containerd' ? { PATH: `${binaries.folder}:${process.env['PATH']}` } : {};
  await machine.start(part, commands[part], environment);
  log(`started ${part}`);
}

/** Waits until the answer is yes; a part that ended by itself meanwhile is told with the end of its log. */
async function untilReady({ machine }: Site, what: string, part: Part, yes: () => Promise<boolean>): Promise<void> {
  const log = logFile(machine.dir, part);
  const isReady = async (): Promise<boolean> => {
    if (await machine.running(part)) return yes();
    const text = await readFile(log, 'utf8').catch(() => '');
    const last = text.trim().split('\n').slice(-5).join('\n');
    throw new UserError('PartFailed', `${part} ended by itself; the end of ${log}:\n${last}`);
  };
  if (await waitUntil(isReady, 120_000, 200)) return;
  throw new UserError('NotReady', `${what} took more than two minutes; see ${log}`);
}

/** The images without which no pod starts. */
async function loadClusterImages(site: Site): Promise<Awaited<ReturnType<typeof ensureClusterImages>>> {
  const { machine, binaries, cluster, log } = site;
  await untilReady(site, 'containerd', 'containerd', () =>
    machine.run(ctrCommand(binaries, ['version']), 'ctr version').then(
      () => true,
      () => false,
    ),
  );
  const images = await ensureClusterImages(log);
  await cluster.loadImage(images.pause);
  await cluster.loadImage(images.coredns);
  return images;
}

function untilApiServerAnswers(site: Site): Promise<void> {
  const url = `${site.cluster.url}/readyz`;
  return untilReady(site, 'kube-apiserver', 'kube-apiserver', async () => (await probe(url, site.tls))?.status === 200);
}

/** Whether packets wait for a judgement from now on: then the judge must be started next. */
async function queuePackets({ machine, log }: Site): Promise<boolean> {
  try {
    await machine.run(['sh', '-euc', policyRules(machine.network)], 'queueing packets for network policies');
    return true;
  } catch (error) {
    await machine.run(['iptables', '-t', 'mangle', '-F'], 'removing packet rules').catch(() => undefined);
    const why = errorMessage(error).split('\n').at(-1) ?? '';
    log(`network policies are not enforced, this kernel does not queue packets: ${why}`);
    return false;
  }
}

async function untilNodeIsReady(site: Site): Promise<void> {
  const { cluster, tls, settings, log } = site;
  const url = `${cluster.url}/api/v1/nodes/${nodeName}`;
  await untilReady(site, `node ${nodeName}`, 'kubelet', async () => {
    const answer = await probe(url, tls);
    return answer?.status === 200 && isReadyNode(answer.body, settings.gpus);
  });
  log(`node ${nodeName} is ready`);
}

/** Whether a Node, as JSON, takes pods and has its GPUs. */
function isReadyNode(json: string, gpus: number): boolean {
  const { status } = JSON.parse(json) as {
    status: { conditions?: { type: string; status: string }[]; allocatable?: Record<string, string> };
  };
  const isReady = status.conditions?.some(({ type, status: value }) => type === 'Ready' && value === 'True') ?? false;
  return isReady && Number(status.allocatable?.['nvidia.com/gpu'] ?? 0) === gpus;
}

async function untilNamesResolve({ cluster, log }: Site): Promise<void> {
  await cluster.kubectl(['rollout', 'status', 'deployment/coredns', '--namespace=kube-system', '--timeout=120s']);
  log('CoreDNS is ready');
}
