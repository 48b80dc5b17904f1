import { execFile } from 'node:child_process';
import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs, promisify } from 'node:util';
import { parse } from 'yaml';
import { inParallel } from '../hack/in-parallel.ts';
import { type ControlPlane, startControlPlane } from '../hack/local-cluster/control-plane.ts';
import { errorMessage, UserError } from '../process/errors.ts';
import { systemNamespace } from '../test/support/operator-configuration.ts';
import { type Api, openApi } from './operator/api.ts';
import { aModel, childCollections, configuration, group } from './operator/fleet.ts';
import type { Floor } from './operator/floor.ts';
import { type Calls, type OperatorProcess, startOperator } from './operator/operator-process.ts';

/** What `--json` writes. Seconds, bytes, counts. */
interface Figures {
  models: number;
  /** From the first create until the last child is present and the last model has its first status. */
  wallSeconds: number;
  floorWallSeconds: number;
  floorCpuSeconds: number;
  /** The operator's, from its start until nothing is written any more. */
  cpuSeconds: number;
  peakMemoryBytes: number;
  /** The operator's, those of the Lease apart, until nothing is written any more. */
  writes: number;
  idleWrites: number;
  idleCpuSeconds: number;
  callsByVerb: Calls['byVerb'];
  /** The operator's CPU before the first model. */
  startCpuSeconds: number;
  /** The operator's CPU when `wallSeconds` ended. */
  wallCpuSeconds: number;
  /** From the first create until nothing is written any more. */
  settledSeconds: number;
  idleMemoryBytes: number;
}

const root = fileURLToPath(new URL('..', import.meta.url));
/** As in the chart: the heap grows no further than it must. */
const nodeFlags = ['--max-old-space-size=96', '--max-semi-space-size=4'];
const idleSeconds = 60;

const help = `npm run bench:operator -- [--models N] [--json FILE] [--profile DIR] [--keep]

Makes N SpecializedModels (default 1000) on etcd, kube-apiserver, kube-controller-manager and kube-scheduler without a node,
and measures what the operator needs for them, beside a bare script that sends the same calls. --profile writes the operator's CPU profile, --keep leaves its log.`;

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      models: { type: 'string', default: '1000' },
      json: { type: 'string' },
      profile: { type: 'string' },
      keep: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return say(help);
  const models = Number(values.models);
  if (!Number.isInteger(models) || models < 1)
    throw new UserError('BadFlag', `--models ${values.models}: a whole number, 1 or more`);
  const dir = await mkdtemp(join(tmpdir(), 'cadre-bench-'));
  try {
    say('building the operator');
    await build();
    const floor = await onControlPlane(join(dir, 'floor'), (plane) => measureFloor(plane, models));
    say(`floor: ${floor.wallSeconds.toFixed(1)} s, ${floor.cpuSeconds.toFixed(1)} CPU s`);
    const figures = await onControlPlane(join(dir, 'operator'), (plane, at) =>
      measureOperator(plane, at, { models, floor, profile: values.profile }),
    );
    report(figures);
    if (values.json !== undefined) await writeFile(values.json, `${JSON.stringify(figures, null, 2)}\n`);
  } finally {
    if (values.keep) say(`kept ${dir}`);
    else await rm(dir, { recursive: true, force: true });
  }
}

async function build(): Promise<void> {
  try {
    await promisify(execFile)('npm', ['run', '--silent', 'build'], { cwd: root });
  } catch (error) {
    throw new UserError(
      'BuildFailed',
      `npm run build:\n${(error as { stdout?: string }).stdout ?? errorMessage(error)}`,
    );
  }
}

/** A control plane of its own for each part: what one part leaves behind does not slow the other. */
async function onControlPlane<T>(dir: string, work: (plane: ControlPlane, dir: string) => Promise<T>): Promise<T> {
  const plane = await startControlPlane({ dir, log: say, components: ['kube-controller-manager', 'kube-scheduler'] });
  try {
    const api = await openApi(plane, 2);
    try {
      await prepare(api);
    } finally {
      await api.close();
    }
    return await work(plane, dir);
  } finally {
    await plane.stop();
  }
}

async function prepare(api: Api): Promise<void> {
  for (const file of ['cadre.dev_specializedmodels.yaml', 'cadre.dev_routingpolicies.yaml']) {
    const crd = parse(await readFile(join(root, 'crds', file), 'utf8')) as { metadata: { name: string } };
    const path = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
    await api.send('POST', path, crd);
    await until(`CRD ${crd.metadata.name}`, 30, async () => {
      const { status } = (await api.send('GET', `${path}/${crd.metadata.name}`)) as {
        status?: { conditions?: { type: string; status: string }[] };
      };
      return status?.conditions?.some(({ type, status: is }) => type === 'Established' && is === 'True') ?? false;
    });
  }
  for (const name of ['fleet', systemNamespace]) await api.send('POST', '/api/v1/namespaces', { metadata: { name } });
  const { name } = configuration.routeOwner;
  await api.send('POST', `/api/v1/namespaces/${systemNamespace}/configmaps`, { metadata: { name } });
}

async function measureFloor({ url, caFile, adminCert, adminKey }: ControlPlane, models: number): Promise<Floor> {
  const script = join(root, 'bench/operator/floor.ts');
  const access = JSON.stringify({ url, caFile, adminCert, adminKey });
  const { stdout } = await promisify(execFile)(process.execPath, [script, access, 'fleet', String(models)]);
  return JSON.parse(stdout) as Floor;
}

async function measureOperator(
  plane: ControlPlane,
  dir: string,
  { models, floor, profile }: { models: number; floor: Floor; profile: string | undefined },
): Promise<Figures> {
  const api = await openApi(plane, 16);
  const watching = await openApi(plane, 1);
  const operator = await startOperator({
    dir,
    server: plane.url,
    serviceAccountDir: await serviceAccount(api, plane.caFile, dir),
    main: join(root, 'dist/cli/main.js'),
    nodeFlags: [...nodeFlags, ...(profile === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profile}`])],
  });
  const ended = new AbortController();
  try {
    await until('the operator to lead', 60, () => operator.leads());
    const startCpuSeconds = await operator.cpuSeconds();
    const settled = new Set<string>();
    const watch = watching.watch(
      `${group}/namespaces/fleet/specializedmodels?watch=true`,
      ended.signal,
      (_, object) => {
        if (hasStatus(object)) settled.add(object.metadata.name);
      },
    );
    const began = performance.now();
    const elapsed = (): number => (performance.now() - began) / 1000;
    await inParallel(models, 16, async (index) => {
      await api.send('POST', `${group}/namespaces/fleet/specializedmodels`, aModel('fleet', index));
    });
    say(`${models} models created in ${elapsed().toFixed(1)} s`);
    await until(
      'every model to have a status',
      60 * 60,
      () => settled.size === models,
      () => `${settled.size} of ${models}`,
    );
    await until('every child', 600, () => hasChildren(api, models));
    const wallSeconds = elapsed();
    const wallCpuSeconds = await operator.cpuSeconds();
    say(`children and status of all after ${wallSeconds.toFixed(1)} s; waiting until nothing is written any more`);
    const settledSeconds = await settle(operator, elapsed);
    const [calls, cpu] = [await operator.calls(), await operator.cpuSeconds()];
    say(`at rest after ${settledSeconds.toFixed(0)} s; watching that for ${idleSeconds} s`);
    await sleep(idleSeconds * 1000);
    const [later, laterCpu, memory] = [
      await operator.calls(),
      await operator.cpuSeconds(),
      await operator.memoryBytes(),
    ];
    ended.abort();
    await watch;
    return {
      models,
      wallSeconds,
      floorWallSeconds: floor.wallSeconds,
      floorCpuSeconds: floor.cpuSeconds,
      cpuSeconds: cpu,
      peakMemoryBytes: memory.peak,
      writes: calls.writes,
      idleWrites: later.writes - calls.writes,
      idleCpuSeconds: laterCpu - cpu,
      callsByVerb: calls.byVerb,
      startCpuSeconds,
      wallCpuSeconds,
      settledSeconds,
      idleMemoryBytes: memory.now,
    };
  } finally {
    ended.abort();
    await operator.stop();
    await Promise.all([api.close(), watching.close()]);
  }
}

/** A service account that may do everything, in a folder as kubelet mounts it. */
async function serviceAccount(api: Api, caFile: string, dir: string): Promise<string> {
  const [name, namespace] = ['cadre-operator', systemNamespace];
  const accounts = `/api/v1/namespaces/${namespace}/serviceaccounts`;
  await api.send('POST', accounts, { metadata: { name } });
  await api.send('POST', '/apis/rbac.authorization.k8s.io/v1/clusterrolebindings', {
    metadata: { name },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'cluster-admin' },
    subjects: [{ kind: 'ServiceAccount', name, namespace }],
  });
  const request = { spec: { expirationSeconds: 86_400 } };
  const { status } = await api.send('POST', `${accounts}/${name}/token`, request);
  const folder = join(dir, 'service-account');
  await mkdir(folder);
  await writeFile(join(folder, 'token'), (status as { token: string }).token, { mode: 0o600 });
  await writeFile(join(folder, 'namespace'), namespace);
  await copyFile(caFile, join(folder, 'ca.crt'));
  return folder;
}

function hasStatus(object: { metadata: { generation?: number }; status?: unknown }): boolean {
  const status = object.status as { observedGeneration?: number; conditions?: { type: string }[] } | undefined;
  const ready = status?.conditions?.some(({ type }) => type === 'Ready') ?? false;
  return ready && status?.observedGeneration === object.metadata.generation;
}

async function hasChildren(api: Api, models: number): Promise<boolean> {
  for (const { api: prefix, plural } of Object.values(childCollections)) {
    if ((await api.count(`${prefix}/namespaces/fleet/${plural}`)) < models) return false;
  }
  return true;
}

/** Waits until the operator has written nothing for 20 s; the time of the last write. */
async function settle(operator: OperatorProcess, elapsed: () => number): Promise<number> {
  let [writes, since] = [-1, elapsed()];
  while (elapsed() - since < 20) {
    const now = (await operator.calls()).writes;
    if (now !== writes) [writes, since] = [now, elapsed()];
    await sleep(1000);
  }
  return since;
}

async function until(
  what: string,
  seconds: number,
  done: () => boolean | Promise<boolean>,
  so = (): string => '',
): Promise<void> {
  const began = performance.now();
  let told = began;
  while (!(await done())) {
    const now = performance.now();
    if (now - began > seconds * 1000) throw new UserError('TimedOut', `waited ${seconds} s for ${what} ${so()}`);
    if (now - told > 10_000) {
      say(`waiting for ${what} ${so()}`);
      told = now;
    }
    await sleep(50);
  }
}

function report(figures: Figures): void {
  const { models, wallSeconds, floorWallSeconds, cpuSeconds, peakMemoryBytes, writes, idleWrites, idleCpuSeconds } =
    figures;
  const megabytes = peakMemoryBytes / 1e6;
  const share = (100 * idleCpuSeconds) / idleSeconds;
  const fleet = models / 1000;
  const rows: [string, string, string, boolean][] = [
    [
      'wall time',
      `${wallSeconds.toFixed(1)} s`,
      `1.25 × floor = ${(1.25 * floorWallSeconds).toFixed(1)} s`,
      wallSeconds <= 1.25 * floorWallSeconds,
    ],
    ['operator CPU', `${cpuSeconds.toFixed(1)} s`, `${(10 * fleet).toFixed(0)} s`, cpuSeconds <= 10 * fleet],
    [
      'peak memory',
      `${megabytes.toFixed(0)} MB`,
      `${(150 * Math.max(1, fleet)).toFixed(0)} MB`,
      megabytes <= 150 * Math.max(1, fleet),
    ],
    ['writes a model', (writes / models).toFixed(2), '8', writes <= 8 * models],
    [`writes in ${idleSeconds} s at rest`, String(idleWrites), '0', idleWrites === 0],
    [`CPU in ${idleSeconds} s at rest`, `${share.toFixed(2)} % of a core`, '1 %', share < 1],
  ];
  say(`\n${models} models; floor ${floorWallSeconds.toFixed(1)} s wall, ${figures.floorCpuSeconds.toFixed(1)} s CPU\n`);
  say(line('', 'measured', 'at most', ''));
  for (const [what, is, most, met] of rows) say(line(what, is, most, met ? 'met' : 'MISSED'));
  say(`\ncalls by verb: ${JSON.stringify(figures.callsByVerb)}`);
}

function line(...cells: string[]): string {
  return cells
    .map((cell, i) => cell.padEnd([24, 20, 24, 6][i] ?? 0))
    .join('')
    .trimEnd();
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

try {
  await main();
} catch (error) {
  process.stderr.write(`${error instanceof UserError ? errorMessage(error) : String((error as Error).stack)}\n`);
  process.exitCode = 1;
}
