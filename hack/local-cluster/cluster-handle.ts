import { spawn } from 'node:child_process';
import { basename, join } from 'node:path';
import { UserError } from '../../process/errors.ts';
import type { Binaries } from './build.ts';
import type { BuiltImage } from './image-build.ts';
import { type HostVolume, hostVolume, type Manifest } from './manifests.ts';
import type { Network } from './network.ts';
import { containerdSocket } from './node-config.ts';
import type { NodeMachine } from './node-machine.ts';
import type { Settings } from './parts.ts';

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

/** What there is to do with a cluster. */
export function clusterHandle(
  machine: NodeMachine,
  settings: Settings,
  binaries: Binaries,
  images: Record<string, string>,
): Cluster {
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

/** The command line of containerd's client, for the images that Kubernetes sees. */
export const ctrCommand = (binaries: Binaries, args: string[]): string[] => [
  binaries.ctr,
  `--address=${containerdSocket}`,
  '--namespace=k8s.io',
  ...args,
];

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
