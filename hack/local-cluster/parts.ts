import { createHash } from 'node:crypto';
import { mkdir, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Log } from '../cache.ts';
import type { Binaries } from './build.ts';
import { cgroupRoot } from './cgroups.ts';
import {
  apiServerArguments,
  apiServerNames,
  controllerManagerArguments,
  etcdArguments,
  identities,
  schedulerArguments,
} from './components.ts';
import { ensureClusterImages } from './images.ts';
import type { Network } from './network.ts';
import {
  containerdConfig,
  kubeletArguments,
  kubeletConfig,
  kubeProxyArguments,
  networkPoliciesArguments,
  nodeName,
  podNetwork,
} from './node-config.ts';
import { carriesOverlays } from './overlay.ts';
import { type KeyPair, kubeconfig, openPki } from './pki.ts';
import { type ClientTls, readTls } from './probe.ts';

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

/** What is decided once in a cluster's life. */
export interface Settings {
  network: Network;
  gpus: number;
  /** Whether NetworkPolicies are enforced; unknown before the first start. */
  enforcesPolicies?: boolean;
}

/** Those of them that this cluster has. */
export const partsOf = ({ enforcesPolicies }: Settings): Part[] =>
  parts.filter((part) => part !== 'network-policies' || enforcesPolicies);

/** Certificates and configuration files, and the command line of each part. Writes the same again when nothing changed. */
export async function configure(
  dir: string,
  { network, gpus }: Settings,
  binaries: Binaries,
  log: Log,
): Promise<{ commands: Record<Part, string[]>; tls: ClientTls }> {
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
  // containerd watches the folder and must not read half a file.
  await writeFile(join(cni, 'pods.tmp'), podNetwork(network));
  await rename(join(cni, 'pods.tmp'), join(cni, '10-pods.conflist'));
  const { pause } = await ensureClusterImages(log);
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
  const commands = {
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
  return { commands, tls: await readTls(pki.ca.cert, pairs.admin) };
}

/** A file under a name that changes with its content, so that a command line that names it changes, too. */
async function writeVersion(dir: string, name: string, content: string): Promise<string> {
  const path = join(dir, `${createHash('sha256').update(content).digest('hex').slice(0, 8)}-${name}`);
  await writeFile(path, content);
  return path;
}
