import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { chmod, copyFile, link, mkdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { errorMessage, UserError } from '../../process/errors.ts';
import { type Log, stateDir, withLock } from '../cache.ts';
import { runCommand } from '../command.ts';
import { ensureModels } from '../engines/models.ts';
import { type Binaries, ensureBinaries } from './build.ts';
import { cgroupRoot, makeCgroups } from './cgroups.ts';
import {
  apiServerArguments,
  apiServerNames,
  controllerManagerArguments,
  etcdArguments,
  identities,
  logFile,
  schedulerArguments,
} from './components.ts';
import {
  type BuiltImage,
  ensureCadreImage,
  ensureClusterImages,
  ensureEngineSimImage,
  ensureLlamaServerImage,
} from './images.ts';
import { coreDNS, type HostVolume, hostVolume, type Manifest, networkPolicyAccess } from './manifests.ts';
import { chooseNetwork, type Network } from './network.ts';
import {
  containerdConfig,
  containerdSocket,
  kubeletArguments,
  kubeletConfig,
  kubeProxyArguments,
  networkPoliciesArguments,
  nodeName,
  podNetwork,
  policyRules,
} from './node-config.ts';
import { destroyMachine, NodeMachine } from './node-machine.ts';
import { carriesOverlays } from './overlay.ts';
import { type KeyPair, kubeconfig, openPki } from './pki.ts';
import { checkMachine, ensureTools } from './preflight.ts';
import { type ProcessIdentity, waitUntil } from './processes.ts';

/** The programs of a cluster, in the order in which they start. */
export const parts = [
  'etcd',
  'kube-apiserver',
  'containerd',
  'kube-controller-manager',
  'kube-scheduler',
  'kubelet',
  'kube-proxy',
  'network-policies',
  'gpu-plugin',
] as const;
export type Part = (typeof parts)[number];

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

/** What is decided once in a cluster's life. */
interface Settings {
  network: Network;
  gpus: number;
  /** Whether NetworkPolicies are enforced; unknown before the first start. */
  enforcesPolicies?: boolean;
}

/** A running one-node cluster. */
export interface Cluster {
  dir: string;
  /** Path of a kubeconfig whose user may do everything; works on this machine and in its containers' network. */
  kubeconfig: string;
  url: string;
  network: Network;
  /** Image names to use in manifests, by what they are; content-hash tags. */
  images: Record<string, string>;
  /** Whether NetworkPolicies are enforced: not where the kernel can't queue packets. */
  enforcesPolicies: boolean;
  /** Path of the folder whose files `hostVolume` offers as models. */
  models: string;
  /** What makes kubectl, helm and other clients speak to this cluster and keep their caches with it. */
  environment: Record<string, string>;
  /** Run to their end and give their output; a failure is a `UserError` with what they said. */
  kubectl(args: string[], input?: string): Promise<string>;
  helm(args: string[], input?: string): Promise<string>;
  apply(manifests: Manifest[]): Promise<void>;
  /** Gives a namespace the claim `models` with the model files, read-only, or another folder. */
  offerVolume(volume: Partial<HostVolume> & { namespace: string }): Promise<void>;
  loadImage(image: BuiltImage): Promise<void>;
  /** Loads an archive of `docker save` or an OCI layout as it is. */
  loadArchive(path: string): Promise<void>;
}

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
  return handle(machine, settings, await ensureBinaries(log), await readImages(dir));
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
  const commands = await configure(dir, settings, binaries);
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
    const done = await waitUntil(async () => {
      if (!(await machine.running(part))) throw await partFailure(dir, part);
      return yes();
    }, 120_000);
    if (!done) throw new UserError('NotReady', `${what} took more than two minutes; see ${logFile(dir, part)}`);
  };
  const cluster = handle(machine, settings, binaries, await readImages(dir));

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
  const control = ready('kube-apiserver', 'kube-apiserver', () =>
    cluster.kubectl(['get', '--raw=/readyz']).then(
      () => true,
      () => false,
    ),
  );
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
  await ready(`node ${nodeName}`, 'kubelet', () => isNodeReady(cluster, settings.gpus));
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

const partsOf = ({ enforcesPolicies }: Settings): Part[] =>
  parts.filter((part) => part !== 'network-policies' || enforcesPolicies);

/** Certificates and configuration files, and the command line of each part. Writes the same again when nothing changed. */
async function configure(
  dir: string,
  { network, gpus }: Settings,
  binaries: Binaries,
): Promise<Record<Part, string[]>> {
  const pki = await openPki(join(dir, 'pki'));
  const url = `https://${network.nodeAddress}:6443`;
  const names = [
    'admin',
    'kubelet-client',
    'kube-controller-manager',
    'kube-scheduler',
    'kube-proxy',
    'network-policies',
  ] as const;
  const [serving, kubeletServing, kubelet, ...issued] = await Promise.all([
    pki.issue('kube-apiserver', {
      subject: '/CN=kube-apiserver',
      names: apiServerNames(network, [network.nodeAddress]),
    }),
    pki.issue('kubelet-serving', {
      subject: `/CN=${nodeName}`,
      names: [`DNS:${nodeName}`, `IP:${network.nodeAddress}`],
    }),
    pki.issue('kubelet', { subject: `/O=system:nodes/CN=system:node:${nodeName}` }),
    ...names.map((name) => pki.issue(name, identities[name])),
  ]);
  const pairs = Object.fromEntries(names.map((name, index) => [name, issued[index]])) as Record<
    (typeof names)[number],
    KeyPair
  >;
  const config = async (name: string, user: KeyPair): Promise<string> => {
    const path = join(dir, name === 'admin' ? 'kubeconfig' : `${name}.kubeconfig`);
    await writeFile(path, await kubeconfig(url, pki.ca.cert, user), { mode: 0o600 });
    return path;
  };
  await config('admin', pairs.admin);

  const cni = join(dir, 'cni-config');
  await mkdir(cni, { recursive: true });
  await writeFile(join(cni, '10-pods.conflist'), podNetwork(network));
  const { pause } = await ensureClusterImages(() => undefined);
  const containerd = containerdConfig({
    root: join(dir, 'containerd'),
    cniConfig: cni,
    pauseImage: pause.name,
    snapshotter: (await carriesOverlays(dir)) ? 'overlayfs' : 'native',
  });
  const kubeletOptions = {
    kubeconfig: await config('kubelet', kubelet),
    caFile: pki.ca.cert,
    serving: kubeletServing,
    network,
    cgroupRoot: cgroupRoot(network),
    podLogs: join(dir, 'pod-logs'),
    volumePlugins: join(dir, 'volume-plugins'),
  };
  const [containerdFile, kubeletFile] = await Promise.all([
    writeVersion(dir, 'containerd.toml', containerd),
    writeVersion(dir, 'kubelet.json', kubeletConfig(kubeletOptions)),
  ]);
  const loop = async (name: 'kube-controller-manager' | 'kube-scheduler', port: number) => ({
    kubeconfig: await config(name, pairs[name]),
    port,
  });
  const cluster = (part: Part, args: string[]): string[] => [binaries.cluster, part, ...args];
  return {
    etcd: cluster('etcd', etcdArguments({ dataDir: join(dir, 'etcd'), clientPort: 2379, peerPort: 2380 })),
    'kube-apiserver': cluster(
      'kube-apiserver',
      apiServerArguments({
        etcdPort: 2379,
        bindAddress: '0.0.0.0',
        port: 6443,
        advertiseAddress: network.nodeAddress,
        network,
        pki,
        serving,
        kubeletClient: pairs['kubelet-client'],
      }),
    ),
    containerd: [binaries.containerd, '--config', containerdFile],
    'kube-controller-manager': cluster(
      'kube-controller-manager',
      controllerManagerArguments({ ...(await loop('kube-controller-manager', 10257)), pki, network }),
    ),
    'kube-scheduler': cluster('kube-scheduler', schedulerArguments(await loop('kube-scheduler', 10259))),
    kubelet: cluster('kubelet', kubeletArguments(kubeletOptions, kubeletFile, gpus)),
    'kube-proxy': cluster('kube-proxy', kubeProxyArguments(await config('kube-proxy', pairs['kube-proxy']), network)),
    'network-policies': cluster(
      'network-policies',
      networkPoliciesArguments(await config('network-policies', pairs['network-policies'])),
    ),
    'gpu-plugin': cluster('gpu-plugin', [`--count=${gpus}`]),
  };
}

function handle(machine: NodeMachine, settings: Settings, binaries: Binaries, images: Record<string, string>): Cluster {
  const { dir, network } = machine;
  const config = join(dir, 'kubeconfig');
  const environment = {
    KUBECONFIG: config,
    KUBECACHEDIR: join(dir, 'clients/kube'),
    HELM_CACHE_HOME: join(dir, 'clients/helm'),
    HELM_CONFIG_HOME: join(dir, 'clients/helm'),
    HELM_DATA_HOME: join(dir, 'clients/helm'),
  };
  const kubectl = (args: string[], input?: string): Promise<string> =>
    collect([binaries.cluster, 'kubectl', ...args], environment, input);
  const apply = async (manifests: Manifest[]): Promise<void> => {
    const list = { apiVersion: 'v1', kind: 'List', items: manifests };
    await kubectl(
      ['apply', '--server-side', '--force-conflicts', '--field-manager=local-cluster', '--filename=-'],
      JSON.stringify(list),
    );
  };
  const ctr = (args: string[]): Promise<string> =>
    machine.run(ctrCommand(binaries, args), `ctr ${args.slice(0, 2).join(' ')}`);
  const loadArchive = async (path: string): Promise<void> => {
    await ctr(['images', 'import', path]);
  };
  return {
    dir,
    kubeconfig: config,
    url: `https://${network.nodeAddress}:6443`,
    network,
    images,
    enforcesPolicies: settings.enforcesPolicies ?? false,
    models: join(dir, 'models'),
    environment,
    kubectl,
    helm: (args, input) => collect([binaries.helm, ...args], environment, input),
    apply,
    offerVolume: (volume) =>
      apply(hostVolume({ claim: 'models', path: join(dir, 'models'), accessMode: 'ReadOnlyMany', ...volume })),
    loadArchive,
    async loadImage(image) {
      const there = (await ctr(['images', 'list', '--quiet'])).split('\n');
      if (!there.includes(image.name)) await loadArchive(image.archive);
      for (const alias of image.aliases) await ctr(['images', 'tag', '--force', image.name, alias]);
    },
  };
}

const ctrCommand = (binaries: Binaries, args: string[]): string[] => [
  binaries.ctr,
  `--address=${containerdSocket}`,
  '--namespace=k8s.io',
  ...args,
];

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

async function isNodeReady(cluster: Cluster, gpus: number): Promise<boolean> {
  const text = await cluster.kubectl(['get', 'node', nodeName, '--output=json', '--ignore-not-found']).catch(() => '');
  if (!text) return false;
  const { status: seen } = JSON.parse(text) as {
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

/** A file under a name that changes with its content, so that a command line that names it changes, too. */
async function writeVersion(dir: string, name: string, content: string): Promise<string> {
  const path = join(dir, `${createHash('sha256').update(content).digest('hex').slice(0, 8)}-${name}`);
  await writeFile(path, content);
  return path;
}

async function readJson<T>(path: string): Promise<T | undefined> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as T;
  } catch {
    return undefined;
  }
}

async function writeJson(path: string, value: unknown): Promise<void> {
  await writeFile(`${path}.part`, JSON.stringify(value, undefined, 2));
  await rename(`${path}.part`, path);
}

/** Runs a command to its end with some input; a failure carries what it said. */
function collect(argv: string[], environment: Record<string, string>, input = ''): Promise<string> {
  const [command = '', ...args] = argv;
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: 'pipe', env: { ...process.env, ...environment } });
    let [output, complaints] = ['', ''];
    child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (complaints += chunk.toString()));
    child.once('error', reject).once('close', (code) => {
      if (code === 0) return resolve(output);
      const what = [basename(command), ...args].join(' ').replace(/^cluster /, '');
      reject(new UserError('CommandFailed', `${what}: ${complaints.trim() || `exit code ${code}`}`));
    });
    child.stdin.once('error', () => undefined);
    child.stdin.end(input);
  });
}
