import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, open, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { UserError } from '../../process/errors.ts';
import type { Log } from '../cache.ts';
import { ensureBinaries } from './build.ts';
import {
  apiServerArguments,
  apiServerNames,
  controllerManagerArguments,
  etcdArguments,
  identities,
  logFile,
  schedulerArguments,
} from './components.ts';
import { addressPlan } from './network.ts';
import { type KeyPair, kubeconfig, openPki } from './pki.ts';
import { freePorts } from './ports.ts';
import { type ClientTls, probe, readTls } from './probe.ts';

/** What runs beside etcd and kube-apiserver. */
export type ControlPlaneComponent = 'kube-controller-manager' | 'kube-scheduler';

export interface ControlPlaneOptions {
  /** A folder of its own, for data, certificates and logs; the caller removes it. */
  dir: string;
  log: Log;
  /** Default: none, etcd and kube-apiserver alone. */
  components?: ControlPlaneComponent[];
  /** Where kube-apiserver listens and tells others to find it. Default: 127.0.0.1, and told to nobody. */
  advertiseAddress?: string;
  /** Default: free ones. */
  ports?: { etcd?: number; etcdPeer?: number; apiServer?: number };
  /** More flags for kube-apiserver, e.g. `--watch-cache=false`. */
  apiServerFlags?: string[];
}

/** A running control plane without nodes. Its programs end with the process that started them, however that ends. */
export interface ControlPlane {
  /** `https://HOST:PORT` of kube-apiserver. */
  url: string;
  /** Path of a kubeconfig whose user may do everything. */
  kubeconfig: string;
  /** Paths of PEM files: the authority of all certificates, and the pair of the kubeconfig's user. */
  caFile: string;
  adminCert: string;
  adminKey: string;
  /** `http://127.0.0.1:PORT` of etcd, which also answers its JSON gateway. */
  etcdUrl: string;
  /** Process ids of what runs now, by name of the program. */
  pids(): Record<string, number>;
  /** Path of the log of `etcd`, `kube-apiserver`, … */
  logFile(part: string): string;
  /** Ends kube-apiserver and resolves when it is gone. Default: SIGTERM, which lets open requests end. */
  stopApiServer(signal?: NodeJS.Signals): Promise<void>;
  /** Starts it again at the same address and resolves when it is ready. */
  startApiServer(): Promise<void>;
  restartApiServer(signal?: NodeJS.Signals): Promise<void>;
  /**
   * Makes etcd forget all history before now. A list that continues from before is then answered 410 Gone; so is a watch
   * from before, once kube-apiserver has restarted and lost its own memory.
   */
  compact(): Promise<void>;
  /** Ends everything at once. Safe to call twice. */
  stop(): Promise<void>;
}

/**
 * A real etcd and kube-apiserver, with a controller manager and scheduler where asked, ready in two to three seconds.
 * `$KUBEBUILDER_ASSETS` names a folder with other builds of them; without it they are built when the cache has none.
 */
export async function startControlPlane(options: ControlPlaneOptions): Promise<ControlPlane> {
  const { dir, log, components = [], advertiseAddress } = options;
  const program = await findPrograms(log);
  await mkdir(join(dir, 'log'), { recursive: true });
  const host = advertiseAddress ?? '127.0.0.1';
  const [ports, pki] = await Promise.all([
    freePorts(['etcd', 'etcdPeer', 'apiServer'], options.ports, host),
    openPki(join(dir, 'pki')),
  ]);
  const url = `https://${host}:${ports.apiServer}`;
  const etcdUrl = `http://127.0.0.1:${ports.etcd}`;

  const names = ['admin', 'kubelet-client', ...components] as const;
  const pairs = Object.fromEntries(
    await Promise.all(names.map(async (name) => [name, await pki.issue(name, identities[name])] as const)),
  ) as Record<(typeof names)[number], KeyPair>;
  const serving = await pki.issue('kube-apiserver', {
    subject: '/CN=kube-apiserver',
    names: apiServerNames(network, [host]),
  });
  const configs = Object.fromEntries(
    await Promise.all(
      (['admin', ...components] as const).map(async (name) => {
        const path = join(dir, `${name}.kubeconfig`);
        await writeFile(path, await kubeconfig(url, pki.ca.cert, pairs[name]), { mode: 0o600 });
        return [name, path] as const;
      }),
    ),
  ) as Record<'admin' | ControlPlaneComponent, string>;

  const running = new Map<string, ChildProcess>();
  const start = async (part: string, args: string[]): Promise<void> => {
    running.set(part, await startBound(program(part), args, logFile(dir, part)));
  };
  const stopPart = async (part: string, signal: NodeJS.Signals): Promise<void> => {
    const child = running.get(part);
    running.delete(part);
    if (child) await end(child, signal);
  };
  const tls = await readTls(pki.ca.cert, pairs.admin);
  const startApiServer = async (): Promise<void> => {
    if (running.has('kube-apiserver')) return;
    const known = { etcdPort: ports.etcd, port: ports.apiServer, bindAddress: host, advertiseAddress };
    const args = apiServerArguments({ ...known, network, pki, serving, kubeletClient: pairs['kubelet-client'] });
    await start('kube-apiserver', [...args, ...(options.apiServerFlags ?? [])]);
    // The namespace `default` is made after readiness; whoever comes next expects it.
    for (const path of ['/readyz', '/api/v1/namespaces/default']) {
      await untilAnswered(`${url}${path}`, tls, () => failure(dir, running));
    }
  };
  const stop = async (): Promise<void> => {
    await Promise.all([...running.keys()].map((part) => stopPart(part, 'SIGKILL')));
  };

  const began = Date.now();
  try {
    await start(
      'etcd',
      etcdArguments({ dataDir: join(dir, 'etcd'), clientPort: ports.etcd, peerPort: ports.etcdPeer }),
    );
    await startApiServer();
    for (const part of components) {
      const loop = { kubeconfig: configs[part], port: 0 };
      await start(
        part,
        part === 'kube-scheduler' ? schedulerArguments(loop) : controllerManagerArguments({ ...loop, pki, network }),
      );
    }
  } catch (error) {
    await stop();
    throw error;
  }
  log(`kube-apiserver ready at ${url} in ${((Date.now() - began) / 1000).toFixed(1)} s`);

  return {
    url,
    kubeconfig: configs.admin,
    caFile: pki.ca.cert,
    adminCert: pairs.admin.cert,
    adminKey: pairs.admin.key,
    etcdUrl,
    pids: () => Object.fromEntries([...running].map(([part, child]) => [part, child.pid ?? 0])),
    logFile: (part) => logFile(dir, part),
    startApiServer,
    stopApiServer: (signal = 'SIGTERM') => stopPart('kube-apiserver', signal),
    async restartApiServer(signal = 'SIGTERM') {
      await stopPart('kube-apiserver', signal);
      await startApiServer();
    },
    compact: () => compact(etcdUrl),
    stop,
  };
}

/** There are no nodes, so these addresses are only names. */
const network = addressPlan(0);

/** The command line that each program begins with. */
async function findPrograms(log: Log): Promise<(part: string) => string[]> {
  const assets = process.env['KUBEBUILDER_ASSETS'];
  if (!assets) {
    const { cluster } = await ensureBinaries(log);
    return (part) => [cluster, part];
  }
  return (part) => {
    const path = join(assets, part);
    if (existsSync(path)) return [path];
    throw new UserError(
      'ProgramMissing',
      `$KUBEBUILDER_ASSETS is ${assets}, and there is no ${part} there: add it, or unset the variable`,
    );
  };
}

/** Starts a program that the kernel ends when its parent dies. */
async function startBound(program: string[], args: string[], log: string): Promise<ChildProcess> {
  const [command = '', ...rest] = [...bound, ...program, ...args];
  const output = await open(log, 'a');
  const child = spawn(command, rest, { stdio: ['ignore', output.fd, output.fd] });
  try {
    await new Promise<void>((resolve, reject) => child.once('error', reject).once('spawn', resolve));
  } finally {
    await output.close();
  }
  return child;
}

const bound = existsSync('/usr/bin/setpriv') ? ['/usr/bin/setpriv', '--pdeathsig', 'KILL'] : [];

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = new Promise((resolve) => child.once('exit', resolve));
  child.kill(signal);
  await exited;
}

/** What went wrong, when a program that should run does not. */
async function failure(dir: string, running: Map<string, ChildProcess>): Promise<string | undefined> {
  for (const [part, child] of running) {
    if (child.exitCode === null && child.signalCode === null) continue;
    const last = (await readFile(logFile(dir, part), 'utf8')).trim().split('\n').slice(-5).join('\n');
    return `${part} ended with ${child.signalCode ?? `exit code ${child.exitCode}`}; the end of ${logFile(dir, part)}:\n${last}`;
  }
  return undefined;
}

async function untilAnswered(url: string, tls: ClientTls, why: () => Promise<string | undefined>): Promise<void> {
  while ((await probe(url, tls))?.status !== 200) {
    const problem = await why();
    if (problem) throw new UserError('ControlPlaneFailed', problem);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** See https://etcd.io/docs/latest/dev-guide/api_grpc_gateway/ for the JSON form. */
async function compact(etcdUrl: string): Promise<void> {
  const post = async (path: string, body: unknown): Promise<unknown> => {
    const response = await fetch(`${etcdUrl}/v3/kv/${path}`, { method: 'POST', body: JSON.stringify(body) });
    if (!response.ok) throw new Error(`etcd answered ${path} with ${response.status}: ${await response.text()}`);
    return response.json();
  };
  const { header } = (await post('range', { key: Buffer.from('any').toString('base64') })) as {
    header: { revision: string };
  };
  await post('compaction', { revision: header.revision, physical: true });
}
