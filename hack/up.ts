import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { errorMessage, UserError } from '../process/errors.ts';
import type { Log } from './cache.ts';
import { elapsed } from './command.ts';
import { cadreNamespace, installChart } from './install.ts';
import { type Cluster, up } from './local-cluster/cluster.ts';
import { type Endpoint, printTour } from './tour.ts';

/**
 * `make up`: Kubernetes on this machine, Cadre from its chart, the examples, and a tour of them. Each step brings up to
 * date what is there already, so that it can be called again, also after it was interrupted.
 */
const examples = join(import.meta.dirname, '..', 'examples');
const namespace = 'support';
const keySecret = 'tour-key';

const began = Date.now();
const log: Log = (line) => console.log(`${elapsed(began).padStart(10)}  ${line}`);

async function main(): Promise<void> {
  const parts: [string, number][] = [];
  const part = async <T>(name: string, work: () => Promise<T>): Promise<T> => {
    const from = Date.now();
    const result = await work();
    parts.push([name, Date.now() - from]);
    return result;
  };

  const cluster = await part('Kubernetes', () => up({ log }));
  await part('Cadre', () => installChart(cluster, log));
  const key = await part('models', async () => {
    const made = await applyExamples(cluster);
    await untilReady(cluster);
    return made;
  });
  const endpoint = { url: await routerUrl(cluster), key };
  await part('tour', () => printTour(endpoint, join(examples, 'quickstart')));

  const table = await cluster.kubectl(['get', 'smodel,rpol', '--namespace', namespace]);
  console.log(`\n$ kubectl get smodel,rpol --namespace ${namespace}\n${table.trimEnd()}\n`);
  console.log(`Try it yourself:\n\n${curlLine(endpoint)}\n`);
  console.log(`This cluster's kubectl, in this folder: node_modules/.bin/node hack/local-cluster/cli.ts kubectl`);
  console.log(`For your own tools:                     export KUBECONFIG=${cluster.kubeconfig}`);
  console.log('Remove all of it:                       make down\n');
  const times = parts.map(([name, ms]) => `${name} ${elapsed(0, ms)}`).join(', ');
  console.log(`${elapsed(began)} in all: ${times}`);
}

/** Applies what a user would, and what the examples expect of him: the claim with the model files and a client key. */
async function applyExamples(cluster: Cluster): Promise<string> {
  log('applying examples/quickstart and examples/chat with kubectl');
  const apply = (file: string): Promise<string> => cluster.kubectl(['apply', '--filename', join(examples, file)]);
  await apply('quickstart/namespace.yaml');
  await cluster.offerVolume({ namespace });
  const key = (await readKey(cluster)) ?? (await createKey(cluster));
  for (const file of ['quickstart/models.yaml', 'quickstart/ticket-triage.yaml', 'chat/assistant.yaml'])
    await apply(file);
  return key;
}

async function readKey(cluster: Cluster): Promise<string | undefined> {
  const get = ['get', 'secret', keySecret, '--namespace', namespace, '--ignore-not-found', '--output=json'];
  const text = await cluster.kubectl(get);
  if (text.trim() === '') return undefined;
  const secret = JSON.parse(text) as { data?: { token?: string } };
  return Buffer.from(secret.data?.token ?? '', 'base64').toString();
}

/** A key of its own for every cluster; it stays as long as the cluster does. */
async function createKey(cluster: Cluster): Promise<string> {
  const token = randomBytes(24).toString('hex');
  const metadata = { name: keySecret, namespace };
  await cluster.apply([{ apiVersion: 'v1', kind: 'Secret', metadata, stringData: { token } }]);
  return token;
}

/** A SpecializedModel or RoutingPolicy, as far as waiting for it needs. */
interface Waited {
  kind: string;
  metadata: { name: string; generation?: number };
  status?: {
    observedGeneration?: number;
    conditions?: { type: string; status: string; reason: string; message: string }[];
  };
}

/** Waits until models and policies are ready and says what is waited for whenever that changes. */
async function untilReady(cluster: Cluster): Promise<void> {
  const from = Date.now();
  const said = new Map<string, string>();
  for (;;) {
    const text = await cluster.kubectl(['get', 'smodel,rpol', '--namespace', namespace, '--output=json']);
    const { items } = JSON.parse(text) as { items: Waited[] };
    let waiting = 0;
    for (const { kind, metadata, status } of items) {
      const condition = (name: string) => status?.conditions?.find(({ type }) => type === name);
      const isCurrent = status?.observedGeneration === metadata.generation;
      // While it reconciles it may serve already, with pods that are about to go.
      const missing =
        condition('Reconciling') ?? (condition('Ready')?.status === 'True' ? undefined : condition('Ready'));
      const isReady = isCurrent && condition('Ready') !== undefined && missing === undefined;
      if (!isReady) waiting++;
      const state = isReady ? 'is ready' : `${missing?.reason ?? 'not looked at yet'}: ${missing?.message ?? ''}`;
      const name = `${kind} ${metadata.name}`;
      if (said.get(name) !== state) log(`${name} ${state}`);
      said.set(name, state);
    }
    if (items.length > 0 && waiting === 0) return;
    if (Date.now() - from > 300_000) {
      throw new UserError(
        'NotReady',
        `the examples are not ready after 5 minutes, see the lines above and "node_modules/.bin/node hack/local-cluster/cli.ts kubectl --namespace ${namespace} describe smodel,rpol"`,
      );
    }
    await sleep(1000);
  }
}

/** Services of the local cluster have addresses that this machine reaches. */
async function routerUrl(cluster: Cluster): Promise<string> {
  const get = ['get', 'service', 'cadre-router', '--namespace', cadreNamespace, '--output=jsonpath={.spec.clusterIP}'];
  return `http://${(await cluster.kubectl(get)).trim()}/v1`;
}

function curlLine({ url, key }: Endpoint): string {
  const body = {
    model: 'ticket-triage',
    prompt: 'Message: My card was stolen!\nQueue:\n',
    max_tokens: 8,
    temperature: 0,
  };
  return `curl ${url}/completions -H 'Authorization: Bearer ${key}' -H 'Content-Type: application/json' -d '${JSON.stringify(body)}'`;
}

process.once('SIGINT', () => {
  console.error('\ninterrupted: "make up" goes on from here, "make down" removes what there is');
  process.exit(130);
});
try {
  await main();
} catch (error) {
  if (!(error instanceof UserError)) throw error;
  console.error(`make up: ${errorMessage(error)}`);
  process.exitCode = 1;
}
