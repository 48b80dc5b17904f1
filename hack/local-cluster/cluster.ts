import { existsSync } from 'node:fs';
import { chmod, copyFile, link, mkdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { errorMessage, UserError } from '../../process/errors.ts';
import { type Log, stateDir, withLock } from '../cache.ts';
import { runCommand } from '../command.ts';
import { ensureModels } from '../engines/models.ts';
import { type Binaries, ensureBinaries } from './build.ts';
import { makeCgroups } from './cgroups.ts';
import { type Cluster, clusterHandle, ctrCommand } from './cluster-handle.ts';
import { logFile } from './components.ts';
import { ensureCadreImage, ensureClusterImages, ensureEngineSimImage, ensureLlamaServerImage } from './images.ts';
import { readJson, writeJson } from './json-file.ts';
import { coreDNS, networkPolicyAccess } from './manifests.ts';
import { chooseNetwork } from './network.ts';
import { nodeName, policyRules } from './node-config.ts';
import { destroyMachine, NodeMachine } from './node-machine.ts';
import { configure, type Part, parts, partsOf, type Settings } from './parts.ts';
import { checkMachine, ensureTools } from './preflight.ts';
import { type ClientTls, probe } from './probe.ts';
import { type ProcessIdentity, waitUntil } from './processes.ts';

export type { Cluster } from './cluster-handle.ts';

export interface ClusterOptions {
  log: Log;
  /** Default: `local-cluster` in the state folder. Clusters with folders of their own live side by side. */
  dir?: string;
  /** Devices `nvidia.com/gpu` of the node, which are only numbers. Default: 8, or what the running cluster has. */
  gpus?: number;
  /** What to load beside the images of the cluster itself. Default: our own and llama-server. */
  images?: (keyof typeof productImages)[];
}

/** Images of this checkout, and the engines that examples and tests run. */
const productImages = {
  'llama-server': ensureLlamaServerImage,
  cadre: ensureCadreImage,
  'engine-sim': ensureEngineSimImage,
};

const defaultDir = (): string => stateDir('local-cluster');

/** Makes the cluster, or repairs and completes the one that is there. Ready means: pods start, names resolve. */
export async function up(options: ClusterOptions): Promise<Cluster> {
  const { log } = options;
  const dir = options.dir ?? defaultDir();
  checkMachine({ platform: process.platform, uid: process.getuid?.() });
  await ensureTools(log);
  const binaries = await ensureBinaries(log);
  return withLock(dir, log, async () => {
    await mkdir(join(dir, 'log'), { recursive: true });
    // Only one cluster at a time chooses its addresses.
    const { settings, machine } = await withLock('networks of local clusters', log, async () => {
      const decided = await decide(dir, options);
      const found = await NodeMachine.find(dir, decided.network, log);
      if (!found) await destroyMachine(dir, decided.network);
      const made = found ?? (await NodeMachine.create(dir, decided.network, binaries.pause, log));
      return { settings: decided, machine: made };
    });
    const [cluster] = await Promise.all([bringUp(machine, settings, binaries, options), offerModels(dir, log)]);
    return cluster;
  });
}

/** Ends the cluster and removes every trace of it; caches stay. Works on what an interrupted `up` or a crash left, too. */
export async function down({ log, dir = defaultDir() }: ClusterOptions): Promise<void> {
  checkMachine({ platform: process.platform, uid: process.getuid?.() });
  await withLock(dir, log, async () => {
    const settings = await readSettings(dir);
    await destroyMachine(dir, settings?.network);
    await rm(dir, { recursive: true, force: true });
    log(settings ? 'the local cluster is gone' : 'there was no local cluster');
  });
}

export interface PartStatus {
  part: string;
  process: ProcessIdentity | undefined;
  residentBytes: number | undefined;
  log: string;
}

/** What runs of the cluster; undefined when there is none. */
export async function status({ log, dir = defaultDir() }: ClusterOptions): Promise<PartStatus[] | undefined> {
  const settings = await readSettings(dir);
  if (!settings) return undefined;
  const machine = await NodeMachine.find(dir, settings.network, log);
  return Promise.all(
    partsOf(settings).map(async (part) => {
      const process = await machine?.running(part);
      return { part, process, residentBytes: process && (await residentBytes(process.pid)), log: logFile(dir, part) };
    }),
  );
}

/** The cluster that runs now, or a `UserError` that says how to start one. */
export async function connect({ log, dir = defaultDir() }: ClusterOptions): Promise<Cluster> {
  const settings = await readSettings(dir);
  const machine = settings && (await NodeMachine.find(dir, settings.network, log));
  if (!settings || !machine) throw new UserError('NoCluster', 'no local cluster runs here: start one with "make up"');
  return clusterHandle(machine, settings, await ensureBinaries(log), await readImages(dir));
}

async function decide(dir: string, { gpus }: ClusterOptions): Promise<Settings> {
  const before = await readSettings(dir);
  if (before) {
    const after = { ...before, gpus: gpus ?? before.gpus };
    await writeJson(join(dir, 'cluster.json'), after);
    return after;
  }
  const routes = await runCommand('ip', ['-json', '-4', 'route', 'show'], {
    log: () => undefined,
    doing: 'looking at routes',
    install: 'install iproute2',
  });
  const destinations = (JSON.parse(routes || '[]') as { dst: string }[]).map(({ dst }) => dst);
  const settings = { network: chooseNetwork(destinations), gpus: gpus ?? 8 };
  await writeJson(join(dir, 'cluster.json'), settings);
  return settings;
}

const readSettings = (dir: string): Promise<Settings | undefined> => readJson(join(dir, 'cluster.json'));
const readImages = async (dir: string): Promise<Record<string, string>> =>
  (await readJson(join(dir, 'images.json'))) ?? {};

async function bringUp(
  machine: NodeMachine,
  settings: Settings,
  binaries: Binaries,
  options: ClusterOptions,
): Promise<Cluster> {
  const { log, images: wanted = ['llama-server', 'cadre'] } = options;
  const { dir, network } = machine;
  const { commands, tls } = await configure(dir, settings, binaries, log);
  const start = async (part: Part): Promise<void> => {
    const command = commands[part];
    if (await machine.running(part)) return;
    await machine.start(
      part,
      command,
      part === 'containerd' ? { PATH: `${binaries.folder}:${process.env['PATH']}` } : {},
    );
    log(`started ${part}`);
  };
  const ready = async (what: string, part: Part, yes: () => Promise<boolean>): Promise<void> => {
    const done = await waitUntil(
      async () => {
        if (!(await machine.running(part))) throw await partFailure(dir, part);
        return yes();
      },
      120_000,
      200,
    );
    if (!done) throw new UserError('NotReady', `${what} took more than two minutes; see ${logFile(dir, part)}`);
  };
  const cluster = clusterHandle(machine, settings, binaries, await readImages(dir));

  await makeCgroups(network);
  // Whatever runs with an older program or other flags is replaced, and pods live on; the last one started ends first.
  for (const part of parts.toReversed()) if (!(await machine.running(part, commands[part]))) await machine.stop(part);
  for (const part of ['etcd', 'kube-apiserver', 'containerd'] as const) await start(part);
  const ctr = (args: string[]): Promise<string> => machine.run(ctrCommand(binaries, args), `ctr ${args[0]}`);
  const images = ready('containerd', 'containerd', () =>
    ctr(['version']).then(
      () => true,
      () => false,
    ),
  )
    .then(() => ensureClusterImages(log))
    .then(async ({ pause, coredns }) => {
      await cluster.loadImage(pause);
      await cluster.loadImage(coredns);
      return { pause, coredns };
    });
  const control = ready('kube-apiserver', 'kube-apiserver', async () => {
    return (await probe(`${cluster.url}/readyz`, tls))?.status === 200;
  });
  const [{ coredns }] = await Promise.all([images, control]);
  const [rules] = await Promise.all([
    queuePackets(machine),
    cluster.apply([...coreDNS(coredns.name, network), ...networkPolicyAccess('cadre-local-network-policies')]),
  ]);
  if (!rules.queued) log(`network policies are not enforced, this kernel does not queue packets: ${rules.why}`);
  await writeJson(join(dir, 'cluster.json'), { ...settings, enforcesPolicies: rules.queued });
  for (const part of partsOf({ ...settings, enforcesPolicies: rules.queued })) await start(part);
  // An image that can't be built, say for an error in a source file, is reported when the cluster stands.
  const loading = loadProductImages(cluster, wanted, log).then(
    () => undefined,
    (error: unknown) => error,
  );
  await ready(`node ${nodeName}`, 'kubelet', () => isNodeReady(cluster.url, tls, settings.gpus));
  log(`node ${nodeName} is ready`);
  const rollout = ['rollout', 'status', 'deployment/coredns', '--namespace=kube-system', '--timeout=120s'];
  await cluster.kubectl(rollout);
  log('CoreDNS is ready');
  const problem = await loading;
  if (problem) throw problem;
  return { ...cluster, enforcesPolicies: rules.queued, images: await readImages(dir) };
}

/** Packets wait for a judgement from now on, so the judge must be started next. */
async function queuePackets(machine: NodeMachine): Promise<{ queued: boolean; why: string }> {
  try {
    await machine.run(['sh', '-euc', policyRules(machine.network)], 'queueing packets for network policies');
    return { queued: true, why: '' };
  } catch (error) {
    await machine.run(['iptables', '-t', 'mangle', '-F'], 'removing packet rules').catch(() => undefined);
    return { queued: false, why: errorMessage(error).split('\n').at(-1) ?? '' };
  }
}

async function loadProductImages(cluster: Cluster, names: (keyof typeof productImages)[], log: Log): Promise<void> {
  const file = join(cluster.dir, 'images.json');
  const loaded = await readImages(cluster.dir);
  for (const name of names) {
    const image = await productImages[name](log);
    await cluster.loadImage(image);
    loaded[name] = image.name;
    await writeJson(file, loaded);
  }
  log(`images loaded: ${names.map((name) => loaded[name]).join(', ')}`);
}

/** The model files under plain names in one folder, for volumes. */
async function offerModels(dir: string, log: Log): Promise<void> {
  const folder = join(dir, 'models');
  await mkdir(folder, { recursive: true });
  for (const path of Object.values(await ensureModels(log))) {
    const target = join(folder, basename(path));
    if (existsSync(target) && (await stat(target)).size === (await stat(path)).size) continue;
    await rm(`${target}.part`, { force: true });
    await link(path, `${target}.part`).catch(() => copyFile(path, `${target}.part`));
    await chmod(`${target}.part`, 0o644);
    await rename(`${target}.part`, target);
  }
}

async function isNodeReady(url: string, tls: ClientTls, gpus: number): Promise<boolean> {
  const answer = await probe(`${url}/api/v1/nodes/${nodeName}`, tls);
  if (answer?.status !== 200) return false;
  const { status: seen } = JSON.parse(answer.body) as {
    status: { conditions?: { type: string; status: string }[]; allocatable?: Record<string, string> };
  };
  const isReady = seen.conditions?.some(({ type, status: value }) => type === 'Ready' && value === 'True') ?? false;
  return isReady && Number(seen.allocatable?.['nvidia.com/gpu'] ?? 0) === gpus;
}

async function partFailure(dir: string, part: Part): Promise<UserError> {
  const text = await readFile(logFile(dir, part), 'utf8').catch(() => '');
  const last = text.trim().split('\n').slice(-5).join('\n');
  return new UserError('PartFailed', `${part} ended by itself; the end of ${logFile(dir, part)}:\n${last}`);
}

async function residentBytes(pid: number): Promise<number | undefined> {
  const text = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
  const kilobytes = text.match(/^VmRSS:\s+(\d+) kB/m)?.[1];
  return kilobytes === undefined ? undefined : Number(kilobytes) * 1024;
}
