import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { group } from '../crds/names.ts';
import { UserError } from '../process/errors.ts';
import type { Log } from './cache.ts';
import type { Cluster } from './local-cluster/cluster.ts';

/** Where the examples are, and the namespace that their manifests name. */
export const examplesFolder = join(import.meta.dirname, '..', 'examples');
export const examplesNamespace = 'support';

const keySecret = 'tour-key';

/**
 * Applies examples as a user would, with what they expect of him: the claim with the model files and a client key, which
 * is what comes back. `paths` are of files and folders within `examples/`.
 */
export async function applyExamples(cluster: Cluster, paths: string[]): Promise<string> {
  const apply = (path: string): Promise<string> => cluster.kubectl(['apply', '--filename', join(examplesFolder, path)]);
  await apply('namespace.yaml');
  await cluster.offerVolume({ namespace: examplesNamespace });
  const key = (await readKey(cluster)) ?? (await createKey(cluster));
  for (const path of paths) await apply(path);
  return key;
}

async function readKey(cluster: Cluster): Promise<string | undefined> {
  const get = ['get', 'secret', keySecret, '--namespace', examplesNamespace, '--ignore-not-found', '--output=json'];
  const text = await cluster.kubectl(get);
  if (text.trim() === '') return undefined;
  const secret = JSON.parse(text) as { data?: { token?: string } };
  return Buffer.from(secret.data?.token ?? '', 'base64').toString();
}

/** A key of its own for every cluster; it stays as long as the cluster does. */
async function createKey(cluster: Cluster): Promise<string> {
  const token = randomBytes(24).toString('hex');
  const metadata = { name: keySecret, namespace: examplesNamespace };
  await cluster.apply([{ apiVersion: 'v1', kind: 'Secret', metadata, stringData: { token } }]);
  return token;
}

/** An object of an example, as far as waiting for it needs. */
interface Waited {
  apiVersion: string;
  kind: string;
  metadata: { name: string; generation?: number };
  status?: {
    observedGeneration?: number;
    conditions?: { type: string; status: string; reason: string; message: string }[];
  };
}

/** Waits until the models and policies of these paths are ready and says what is waited for whenever that changes. */
export async function untilExamplesAreReady(cluster: Cluster, paths: string[], log: Log): Promise<void> {
  const files = paths.flatMap((path) => ['--filename', join(examplesFolder, path)]);
  const from = Date.now();
  const said = new Map<string, string>();
  for (;;) {
    const { items } = JSON.parse(await cluster.kubectl(['get', ...files, '--output=json'])) as { items: Waited[] };
    let waiting = 0;
    for (const item of items) {
      if (!item.apiVersion.startsWith(`${group}/`)) continue;
      const problem = missing(item);
      if (problem !== undefined) waiting++;
      const state = problem ?? 'is ready';
      const name = `${item.kind} ${item.metadata.name}`;
      if (said.get(name) !== state) log(`${name} ${state}`);
      said.set(name, state);
    }
    if (waiting === 0) return;
    if (Date.now() - from > 300_000) {
      throw new UserError(
        'NotReady',
        `the examples are not ready after 5 minutes, see the lines above and "node_modules/.bin/node hack/local-cluster/cli.ts kubectl --namespace ${examplesNamespace} describe smodel,rpol"`,
      );
    }
    await sleep(1000);
  }
}

/** What an object still waits for; undefined: it is ready as its newest spec says. */
function missing({ metadata, status }: Waited): string | undefined {
  const condition = (name: string) => status?.conditions?.find(({ type }) => type === name);
  const ready = condition('Ready');
  if (ready === undefined || status?.observedGeneration !== metadata.generation) return 'not looked at yet';
  // While it reconciles it may serve already, with pods that are about to go.
  const found = condition('Reconciling') ?? (ready.status === 'True' ? undefined : ready);
  return found && `${found.reason}: ${found.message}`;
}
