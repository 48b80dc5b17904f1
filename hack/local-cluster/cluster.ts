import { mkdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { UserError } from '../../process/errors.ts';
import { type Log, stateDir, withLock } from '../cache.ts';
import { runCommand } from '../command.ts';
import { bringUp } from './bring-up.ts';
import { ensureBinaries } from './build.ts';
import { type Cluster, clusterHandle } from './cluster-handle.ts';
import { logFile } from './components.ts';
import { fillModelFolder } from './model-files.ts';
import { chooseNetwork } from './network.ts';
import { destroyMachine, NodeMachine } from './node-machine.ts';
import { partsOf, type Settings } from './parts.ts';
import { checkMachine, ensureTools } from './preflight.ts';
import type { ProcessIdentity } from './processes.ts';
import type { ProductImage } from './product-images.ts';
import { readImages, readSettings, writeSettings } from './state.ts';

export type { Cluster } from './cluster-handle.ts';

export interface ClusterOptions {
  log: Log;
  /** Default: `local-cluster` in the state folder. Clusters with folders of their own live side by side. */
  dir?: string;
  /** Devices `nvidia.com/gpu` of the node, which are only numbers. Default: 8, or what the running cluster has. */
  gpus?: number;
  /** What to load beside the images of the cluster itself. Default: our own and llama-server. */
  images?: ProductImage[];
}

const defaultDir = (): string => stateDir('local-cluster');

/** Makes the cluster, or repairs and completes the one that is there. Ready means: pods start, names resolve. */
export async function up(options: ClusterOptions): Promise<Cluster> {
  const { log, images = ['llama-server', 'cadre'] } = options;
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
    const [cluster] = await Promise.all([
      bringUp(machine, settings, binaries, { log, images }),
      fillModelFolder(join(dir, 'models'), log),
    ]);
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
    await writeSettings(dir, after);
    return after;
  }
  const routes = await runCommand('ip', ['-json', '-4', 'route', 'show'], {
    log: () => undefined,
    doing: 'looking at routes',
    install: 'install iproute2',
  });
  const destinations = (JSON.parse(routes || '[]') as { dst: string }[]).map(({ dst }) => dst);
  const settings = { network: chooseNetwork(destinations), gpus: gpus ?? 8 };
  await writeSettings(dir, settings);
  return settings;
}

async function residentBytes(pid: number): Promise<number | undefined> {
  const text = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
  const kilobytes = text.match(/^VmRSS:\s+(\d+) kB/m)?.[1];
  return kilobytes === undefined ? undefined : Number(kilobytes) * 1024;
}
