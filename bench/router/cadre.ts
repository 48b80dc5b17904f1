import { createHash, randomBytes } from 'node:crypto';
import { modelLabel, routeDataKey, routeLabel, routeSecretType } from '../../crds/names.ts';
import { type ModelBackend, type Route, routeVersion } from '../../crds/route-table.ts';
import type { Cluster, KubeObject, WatchEvent } from '../../kube/types.ts';
import { createLogger } from '../../process/logger.ts';
import { runRouter } from '../../runtime/router/main.ts';
import { labels } from './labels.ts';

export const clientKey = 'bench-0123456789abcdef0123456789abcdef';

/** The router as it ships, with a policy for each case, metrics and access log on. Resolves with its port. */
export function startCadre(backendPort: number): Promise<number> {
  const secrets = [
    routeSecret(divided('plain', ['plain', 'plain'], {})),
    routeSecret(divided('classified', ['classified', 'classified'], { labels: [...labels] })),
    routeSecret({
      ...divided('escalated', ['unsure', 'classified'], { labels: [...labels] }),
      split: [{ backend: 'specialist', weight: 1 }],
      escalation: {
        steps: [{ to: 'flagship', threshold: 0.85 }],
        when: ['LowConfidence'],
        unknownConfidence: 'Escalate',
      },
    }),
  ];
  return startRouting(secrets, ['specialist', 'flagship'], backendPort);
}

/** The router as it ships, with these policies, and models that are all one backend. Resolves with its port. */
export function startRouting(
  secrets: readonly KubeObject[],
  models: readonly string[],
  backendPort: number,
): Promise<number> {
  const slices = models.map((name) => ({
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: metadata(name, { [modelLabel]: name, 'kubernetes.io/service-name': name }),
    addressType: 'IPv4',
    endpoints: [{ addresses: ['127.0.0.1'], conditions: { ready: true } }],
    ports: [{ name: 'http', port: backendPort }],
  }));
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  runRouter({
    config: { namespace: 'bench' },
    port: 0,
    host: '127.0.0.1',
    probePort: 0,
    log: createLogger('router', 'warn'),
    signal: new AbortController().signal,
    cluster: fixedCluster({ secrets: [...secrets], endpointslices: slices }),
    onListening: ({ port }) => resolve(port),
  }).catch(reject);
  return promise;
}

/** A policy that divides its requests between two models, known to the backend by these names. */
function divided(name: string, servedModels: [string, string], output: Route['output']): Route {
  const backend = (model: string, servedModel: string): ModelBackend => {
    return { name: model, kind: 'Model', namespace: 'bench', model, engine: 'VLLM', task: 'Generation', servedModel };
  };
  return {
    version: routeVersion,
    policy: { namespace: 'bench', name, uid: name, generation: 1 },
    model: name,
    access: {
      mode: 'Keys',
      keys: [{ name: 'bench', sha256: createHash('sha256').update(clientKey).digest('hex') }],
    },
    backends: [backend('specialist', servedModels[0]), backend('flagship', servedModels[1])],
    split: [
      { backend: 'specialist', weight: 90 },
      { backend: 'flagship', weight: 10 },
    ],
    fallback: ['flagship'],
    output,
    timeouts: { firstByteMs: 10_000, idleMs: 20_000, totalMs: 60_000 },
  };
}

/** A policy as the operator has compiled it. */
export function routeSecret(route: Route): KubeObject {
  const { name } = route.policy;
  const secret = {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: metadata(name, { [routeLabel]: 'true' }),
    type: routeSecretType,
    data: { [routeDataKey]: Buffer.from(JSON.stringify(route)).toString('base64') },
  };
  return secret;
}

function metadata(name: string, labelled: Record<string, string>) {
  return { name, namespace: 'bench', uid: name, resourceVersion: '1', labels: labelled };
}

/** A cluster in which nothing happens. */
function fixedCluster(objects: Record<string, KubeObject[]>): Cluster {
  const none = () => Promise.reject(new Error('the bench only reads'));
  return {
    get: none,
    create: none,
    replace: none,
    apply: none,
    applyStatus: none,
    delete: none,
    list: ({ plural }) => Promise.resolve({ items: (objects[plural] ?? []) as never[], resourceVersion: '1' }),
    async *watch<T extends KubeObject>(): AsyncGenerator<WatchEvent<T>> {
      await new Promise(() => undefined);
      yield { type: 'BOOKMARK', resourceVersion: randomBytes(4).toString('hex') };
    },
  };
}
