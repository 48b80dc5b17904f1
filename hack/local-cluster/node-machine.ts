import { type SpawnOptions, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, mkdir, open, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { UserError } from '../../process/errors.ts';
import { cacheDir, type Log } from '../cache.ts';
import { runCommand } from '../command.ts';
import { removeCgroups } from './cgroups.ts';
import { logFile } from './components.ts';
import { addressPlan, type Network, networkPlans } from './network.ts';
import {
  childrenOf,
  identify,
  isAlive,
  type ProcessIdentity,
  processesWithVariable,
  signal,
  waitUntil,
} from './processes.ts';

/**
 * The node's own namespaces of processes, mounts and network, as a container would have them, without an image. All that
 * the cluster starts, mounts and configures lives in there, so that ending the first process ends everything: the kernel
 * kills the rest and takes back mounts, interfaces and packet filter rules. Nothing of the machine itself is changed.
 */
export class NodeMachine {
  readonly dir: string;
  readonly network: Network;
  private readonly log: Log;
  /** The first process, as the machine sees it. */
  private readonly first: ProcessIdentity;

  private constructor(dir: string, network: Network, log: Log, first: ProcessIdentity) {
    this.dir = dir;
    this.network = network;
    this.log = log;
    this.first = first;
  }

  /** The running one of this state folder, or undefined. */
  static async find(dir: string, network: Network, log: Log): Promise<NodeMachine | undefined> {
    const first = await readIdentity(join(dir, 'machine.json'));
    return first && (await isAlive(first)) ? new NodeMachine(dir, network, log, first) : undefined;
  }

  /** Makes the namespaces and connects them with the machine. `init` is a program that reaps children until it is killed. */
  static async create(dir: string, network: Network, init: string, log: Log): Promise<NodeMachine> {
    for (const folder of [dir, cacheDir()]) {
      const hidden = ['/run', '/var/run', '/var/log', '/var/lib'].find((path) => `${folder}/`.startsWith(`${path}/`));
      if (!hidden) continue;
      throw new UserError(
        'FolderHidden',
        `${folder} can't be used, for the node has a ${hidden} of its own: set CADRE_STATE and CADRE_CACHE to other folders`,
      );
    }
    await mkdir(join(dir, 'log'), { recursive: true });
    const holder = await startDetached(
      'unshare',
      [...'--mount --net --pid --fork --kill-child --mount-proc --propagation private --'.split(' '), init],
      logFile(dir, 'machine'),
      dir,
    );
    const first = await firstChild(holder);
    if (!first) {
      const why = (await readFile(logFile(dir, 'machine'), 'utf8')).trim().split('\n').at(-1);
      throw new UserError(
        'NamespacesRefused',
        `the kernel refuses new namespaces (${why}): the cluster needs root with CAP_SYS_ADMIN and CAP_NET_ADMIN; inside a container, run it privileged`,
      );
    }
    const machine = new NodeMachine(dir, network, log, first);
    await machine.prepare();
    // Only a machine that is complete is found again; a half-made one is removed by the next `up` or `down`.
    await writeIdentity(join(dir, 'machine.json'), first);
    return machine;
  }

  /** The command line that runs a program inside. */
  enter(argv: string[]): string[] {
    return ['nsenter', `--target=${this.first.pid}`, '--mount', '--net', '--pid', '--', ...argv];
  }

  /** Runs a program inside to its end and gives its output. */
  run(argv: string[], doing: string): Promise<string> {
    const [command = '', ...args] = this.enter(argv);
    return runCommand(command, args, { log: this.log, doing, install: 'install util-linux' });
  }

  /** Starts a part inside, to run until it is stopped, and remembers it. */
  async start(part: string, argv: string[], environment: Record<string, string> = {}): Promise<void> {
    const [command = '', ...args] = this.enter(argv);
    const entering = await startDetached(command, args, logFile(this.dir, part), this.dir, environment);
    const identity = await firstChild(entering);
    if (!identity) throw new UserError('PartFailed', `${part} does not start, see ${logFile(this.dir, part)}`);
    await writeIdentity(this.partFile(part), { ...identity, command: argv });
  }

  /** The process of a part, undefined when it does not run, or runs with another command line than `argv`. */
  async running(part: string, argv?: string[]): Promise<ProcessIdentity | undefined> {
    const saved = await readIdentity(this.partFile(part));
    if (!saved || !(await isAlive(saved))) return undefined;
    if (argv && JSON.stringify(saved.command) !== JSON.stringify(argv)) return undefined;
    return saved;
  }

  async stop(part: string): Promise<void> {
    const saved = await this.running(part);
    if (!saved) return;
    signal(saved.pid, 'SIGTERM');
    if (await waitUntil(async () => !(await isAlive(saved)), 10_000)) return;
    signal(saved.pid, 'SIGKILL');
    await waitUntil(async () => !(await isAlive(saved)), 5000);
  }

  private partFile(part: string): string {
    return join(this.dir, `${part}.process.json`);
  }

  private async prepare(): Promise<void> {
    const { network, dir } = this;
    const sysctls = join(dir, 'sysctls');
    await mkdir(sysctls, { recursive: true });
    for (const name of ['kubelet', 'cni']) {
      await mkdir(join(dir, name), { recursive: true });
      await chmod(join(dir, name), 0o755);
    }
    for (const [name, value] of Object.entries(kubeletSysctls)) await writeFile(join(sysctls, name), value);
    const binds = Object.keys(kubeletSysctls).map(
      (name) => `mount --bind '${join(sysctls, name)}' /proc/sys/${name.replaceAll('.', '/')}`,
    );
    const inside = [
      'mount --make-rshared /',
      'mount -t tmpfs -o mode=755 cadre-run /run',
      'mkdir -p /run/lock',
      'mount -t tmpfs -o mode=755 cadre-log /var/log',
      // Mount points of our own: those in the machine's folder could be removed under us, from outside.
      'mount -t tmpfs -o mode=755 cadre-lib /var/lib',
      'mkdir /var/lib/kubelet /var/lib/cni',
      `mount --bind '${join(dir, 'kubelet')}' /var/lib/kubelet`,
      `mount --bind '${join(dir, 'cni')}' /var/lib/cni`,
      ...binds,
      'echo 1 > /proc/sys/net/ipv4/ip_forward',
      'ip link set lo up',
      `ip address add ${network.nodeAddress}/30 dev eth0`,
      'ip link set eth0 up',
    ];
    const link = linkName(network);
    await this.ip(`link add ${link} type veth peer name eth0 netns ${this.first.pid}`);
    await this.run(['sh', '-euc', inside.join('\n')], 'preparing the node');
    await this.ip(`address add ${network.hostAddress}/30 dev ${link}`);
    await this.ip(`link set ${link} up`);
    for (const range of [network.services, network.pods])
      await this.ip(`route add ${range} via ${network.nodeAddress}`);
  }

  private ip(args: string): Promise<string> {
    return runCommand('ip', args.split(' '), {
      log: this.log,
      doing: 'connecting the node',
      install: 'install iproute2',
    });
  }
}

/** The machine's end of its link to the node. */
function linkName(network: Network): string {
  return `cadre${network.index}`;
}

/**
 * The kubelet insists on these values and would write them to the whole machine. In the node's mounts, files of ours that
 * hold them already stand in their place.
 */
const kubeletSysctls = {
  'vm.overcommit_memory': '1',
  'vm.panic_on_oom': '0',
  'kernel.panic': '10',
  'kernel.panic_on_oops': '1',
  'kernel.keys.root_maxkeys': '1000000',
  'kernel.keys.root_maxbytes': '25000000',
};

/** Marks every process of a cluster, so that none is lost, whatever was interrupted. Pods do not inherit it. */
const mark = 'CADRE_LOCAL_CLUSTER';

/**
 * Ends all processes of the cluster of this state folder, also those of one that was interrupted while it was made or of
 * which the folder is gone, and waits until mounts, interfaces and cgroups are gone with them.
 */
export async function destroyMachine(dir: string, network: Network | undefined): Promise<void> {
  let marked: number[] = [];
  const gone = await waitUntil(async () => {
    marked = await processesWithVariable(mark, dir);
    for (const pid of marked) signal(pid, 'SIGKILL');
    return marked.length === 0;
  }, 20_000);
  if (!gone) throw new UserError('ProcessesRemain', `processes ${marked.join(', ')} of the cluster can't be killed`);
  if (network) {
    // Connections that were cut may keep the namespace for minutes, and its end of the link with it.
    if (existsSync(`/sys/class/net/${linkName(network)}`)) {
      const options = { log: () => undefined, doing: 'removing the link', install: 'install iproute2' };
      await runCommand('ip', ['link', 'delete', linkName(network)], options).catch((error: unknown) => {
        // It may have gone by itself meanwhile.
        if (existsSync(`/sys/class/net/${linkName(network)}`)) throw error;
      });
    }
    await removeCgroups(network);
  } else {
    // Which of them it was went with its folder; those of a cluster that runs have their link.
    const others = Array.from({ length: networkPlans }, (_, index) => addressPlan(index));
    for (const other of others.filter((plan) => !existsSync(`/sys/class/net/${linkName(plan)}`)))
      await removeCgroups(other);
  }
}

async function startDetached(
  command: string,
  args: string[],
  log: string,
  dir: string,
  environment: Record<string, string> = {},
): Promise<number> {
  const output = await open(log, 'a');
  const options: SpawnOptions = {
    detached: true,
    stdio: ['ignore', output.fd, output.fd],
    cwd: '/',
    env: { ...process.env, ...environment, [mark]: dir },
  };
  try {
    const child = spawn(command, args, options);
    await new Promise<void>((resolve, reject) => child.once('error', reject).once('spawn', resolve));
    child.unref();
    return child.pid ?? 0;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    throw new UserError('CommandMissing', `the command ${command} is missing: install util-linux`);
  } finally {
    await output.close();
  }
}

/** What a program that forks to run another has started, undefined when it ended without. */
async function firstChild(parent: number): Promise<ProcessIdentity | undefined> {
  let found: ProcessIdentity | undefined;
  await waitUntil(
    async () => {
      const [child] = await childrenOf(parent);
      found = child === undefined ? undefined : await identify(child);
      return found !== undefined || (await identify(parent)) === undefined;
    },
    5000,
    5,
  );
  return found;
}

type Saved = ProcessIdentity & { command?: string[] };

async function readIdentity(path: string): Promise<Saved | undefined> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as Saved;
  } catch {
    return undefined;
  }
}

async function writeIdentity(path: string, identity: Saved): Promise<void> {
  await writeFile(`${path}.part`, JSON.stringify(identity));
  await rename(`${path}.part`, path);
}
