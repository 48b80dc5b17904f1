import { errorMessage, UserError } from '../process/errors.ts';
import type { Log } from './cache.ts';
import { elapsed } from './command.ts';
import { applyExamples, examplesNamespace, untilExamplesAreReady } from './examples.ts';
import { installChart, routerUrl } from './install.ts';
import { up } from './local-cluster/cluster.ts';
import { type Endpoint, printTour } from './tour.ts';

/**
 * `make up`: Kubernetes on this machine, Cadre from its chart, the examples, and a tour of them. Each step brings up to
 * date what is there already, so that it can be called again, also after it was interrupted.
 */
const manifests = ['ticket-triage/manifests'];

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
    log('applying examples/ticket-triage with kubectl');
    const made = await applyExamples(cluster, manifests);
    await untilExamplesAreReady(cluster, manifests, log);
    return made;
  });
  const endpoint = { url: `${await routerUrl(cluster)}/v1`, key };
  await part('tour', () => printTour(endpoint));

  const table = await cluster.kubectl(['get', 'smodel,rpol', '--namespace', examplesNamespace]);
  console.log(`\n$ kubectl get smodel,rpol --namespace ${examplesNamespace}\n${table.trimEnd()}\n`);
  console.log(`Try it yourself:\n\n${curlLine(endpoint)}\n`);
  console.log(`This cluster's kubectl, in this folder: node_modules/.bin/node hack/local-cluster/cli.ts kubectl`);
  console.log(`For your own tools:                     export KUBECONFIG=${cluster.kubeconfig}`);
  console.log('Remove all of it:                       make down\n');
  const times = parts.map(([name, ms]) => `${name} ${elapsed(0, ms)}`).join(', ');
  console.log(`${elapsed(began)} in all: ${times}`);
}

function curlLine({ url, key }: Endpoint): string {
  const body = { model: 'ticket-triage', messages: [{ role: 'user', content: 'My card was stolen!' }] };
  return `curl -i ${url}/chat/completions -H 'Authorization: Bearer ${key}' -H 'Content-Type: application/json' -d '${JSON.stringify(body)}'`;
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
