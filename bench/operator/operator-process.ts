import { type ChildProcess, spawn } from 'node:child_process';
import { openSync } from 'node:fs';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { freePort } from '../../hack/local-cluster/ports.ts';
import { UserError } from '../../process/errors.ts';
import { cpuSeconds, memoryBytes } from '../process-usage.ts';
import { configuration } from './fleet.ts';

/** API calls of the operator, as its own metrics count them. */
export interface Calls {
  byVerb: Record<string, number>;
  /** Creates, updates, patches and deletes; those of the Lease apart. */
  writes: number;
}

/** A running `cadre operator`. */
export interface OperatorProcess {
  calls(): Promise<Calls>;
  cpuSeconds(): Promise<number>;
  memoryBytes(): Promise<{ peak: number; now: number }>;
  /** Whether it is ready and leads. */
  leads(): Promise<boolean>;
  /** @throws UserError with the last line of its log, when it has ended by itself. */
  assertRuns(): Promise<void>;
  stop(): Promise<void>;
  logFile: string;
  pid: number;
  metricsText(): Promise<string>;
}

export interface OperatorProcessOptions {
  dir: string;
  /** `https://HOST:PORT` of the API server, and a folder as kubelet mounts it for a service account. */
  server: string;
  serviceAccountDir: string;
  /** Its entry point, built. */
  main: string;
  /** Flags of node, e.g. a heap limit. */
  nodeFlags: string[];
}

export async function startOperator({
  dir,
  server,
  serviceAccountDir,
  main,
  nodeFlags,
}: OperatorProcessOptions): Promise<OperatorProcess> {
  const config = join(dir, 'operator.yaml');
  const logFile = join(dir, 'operator.log');
  await rm(logFile, { force: true });
  await writeFile(config, stringify(configuration));
  const port = await freePort();
  const args = [
    ...nodeFlags,
    main,
    'operator',
    '--config',
    config,
    '--service-account-dir',
    serviceAccountDir,
    '--port',
    String(port),
  ];
  // As in a pod: a kubeconfig would bring a library of 90 MB with it.
  const { hostname, port: serverPort } = new URL(server);
  const env = { ...process.env, KUBERNETES_SERVICE_HOST: hostname, KUBERNETES_SERVICE_PORT: serverPort };
  const log = openSync(logFile, 'a');
  const child: ChildProcess = spawn(process.execPath, args, { stdio: ['ignore', log, log], env });
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const pid = child.pid ?? 0;
  const assertRuns = async (): Promise<void> => {
    if (child.exitCode === null && child.signalCode === null) return;
    const last = (await readFile(logFile, 'utf8')).trim().split('\n').at(-1) ?? '';
    throw new UserError('OperatorEnded', `the operator ended with ${child.signalCode ?? child.exitCode}: ${last}`);
  };
  const read = async (path: string) => {
    await assertRuns();
    return fetch(`http://127.0.0.1:${port}${path}`);
  };
  const metrics = async (): Promise<string> => (await read('/metrics')).text();

  return {
    logFile,
    pid,
    metricsText: metrics,
    cpuSeconds: () => cpuSeconds(pid),
    memoryBytes: () => memoryBytes(pid),
    assertRuns,
    calls: async () => countCalls(await metrics()),
    async leads() {
      try {
        if (!(await read('/readyz')).ok) return false;
        return /^leader_election_master_status\{.*\} 1$/m.test(await metrics());
      } catch (error) {
        if (error instanceof TypeError) return false; // not listening yet
        throw error;
      }
    },
    async stop() {
      child.kill('SIGTERM');
      await exited;
    },
  };
}

/** Reads `rest_client_requests_total` from a page of metrics. */
export function countCalls(page: string): Calls {
  const calls: Calls = { byVerb: {}, writes: 0 };
  for (const [, labels = '', value] of page.matchAll(/^rest_client_requests_total\{(.*)\} (\d+)$/gm)) {
    const label = (name: string) => new RegExp(`(?:^|,)${name}="([^"]*)"`).exec(labels)?.[1] ?? '';
    const [verb, count] = [label('method'), Number(value)];
    calls.byVerb[verb] = (calls.byVerb[verb] ?? 0) + count;
    if (verb !== 'GET' && label('resource') !== 'leases') calls.writes += count;
  }
  return calls;
}
