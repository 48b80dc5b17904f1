import { type ChildProcess, spawn } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll } from 'vitest';
import { parse, stringify } from 'yaml';
import { freePort } from '../../hack/local-cluster/ports.ts';
import type { KubeClient } from '../../kube/client.ts';
import { connect } from '../../kube/connect.ts';
import { resources } from '../../kube/resources.ts';
import type { KubeObject, Resource } from '../../kube/types.ts';
import { customResources } from '../../operator/custom-resources.ts';
import { eventually } from '../../process/testing/waiting.ts';
import { makeNamespace, useControlPlane } from './api-server.ts';
import { operatorConfiguration, systemNamespace } from './operator-configuration.ts';

const root = join(import.meta.dirname, '../..');
const crdResource: Resource = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  plural: 'customresourcedefinitions',
  namespaced: false,
};

/** An operator as a process, which may be killed. */
export interface Operator {
  process: ChildProcess;
  /** What one of its probes, or `/metrics`, answers. */
  ask(path: string): Promise<{ status: number; text: string }>;
  /** Resolves once it leads. */
  leads(): Promise<void>;
  /** Ends it and waits until it is gone. */
  end(signal: NodeJS.Signals): Promise<void>;
}

export interface OperatorWorld {
  kube: KubeClient;
  namespace: string;
  systemNamespace: string;
  /** Starts another `cadre operator`; what still runs ends with the file's tests. */
  start(): Promise<Operator>;
  /** Ends all that still run. */
  endAll(signal: NodeJS.Signals): Promise<void>;
  /** Path of the log of all operators. */
  log: string;
}

/** A control plane of this file's own, with a garbage collector and our CRDs, on which operators are started. */
export function useOperators(namespace: string): OperatorWorld {
  const world = { namespace, systemNamespace } as OperatorWorld;
  const running = new Set<Operator>();
  const own = useControlPlane({ components: ['kube-controller-manager'] });
  beforeAll(async () => {
    const { kubeconfig } = own.plane;
    world.log = join(own.dir, 'operator.log');
    world.kube = await connect({ kubeconfig: { path: kubeconfig } });
    await makeNamespace(world.kube, systemNamespace);
    await makeNamespace(world.kube, namespace);
    await installCrds(world.kube);
    const owner = {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: operatorConfiguration.routeOwner.name, namespace: systemNamespace },
    };
    await world.kube.create(resources.configMaps, owner);
    const config = join(own.dir, 'operator.yaml');
    await writeFile(config, stringify(operatorConfiguration));
    world.start = async () => {
      const operator = await startOperator(config, kubeconfig, world.log);
      running.add(operator);
      return operator;
    };
  });
  world.endAll = async (signal) => {
    await Promise.all([...running].map((operator) => operator.end(signal)));
    running.clear();
  };
  afterAll(async () => {
    await world.endAll('SIGKILL');
    await world.kube?.close();
  });
  return world;
}

/** Creates our CRDs and waits until they are served. */
export async function installCrds(kube: KubeClient): Promise<void> {
  const files = (await readdir(join(root, 'crds'))).filter((name) => name.endsWith('.yaml'));
  for (const file of files) {
    await kube.create<KubeObject>(crdResource, parse(await readFile(join(root, 'crds', file), 'utf8')) as KubeObject);
  }
  await eventually('the CRDs to be served', async () => {
    for (const resource of Object.values(customResources)) await kube.list(resource, {}, { limit: 1 });
  });
}

/** Starts `cadre operator` with a configuration file; what it says goes to the end of `log`. */
export async function startOperator(config: string, kubeconfig: string, log: string): Promise<Operator> {
  const port = await freePort();
  const args = ['cli/main.ts', 'operator', '--config', config, '--kubeconfig', kubeconfig, '--port', String(port)];
  const child = spawn(process.execPath, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] });
  const file = createWriteStream(log, { flags: 'a' });
  child.stdout.pipe(file);
  child.stderr.pipe(file);
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const ask: Operator['ask'] = async (path) => {
    const answer = await fetch(`http://127.0.0.1:${port}${path}`);
    return { status: answer.status, text: await answer.text() };
  };
  return {
    process: child,
    ask,
    leads: () =>
      eventually('an operator to lead', async () => {
        const { text: metrics } = await ask('/metrics');
        if (!/^leader_election_master_status\{.*\} 1$/m.test(metrics)) throw new Error('it does not lead');
      }),
    async end(signal) {
      child.kill(signal);
      await exited;
    },
  };
}
