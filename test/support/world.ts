import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, inject } from 'vitest';
import type { Condition } from '../../crds/schema.ts';
import { connect as connectLocal, type Cluster as LocalCluster } from '../../hack/local-cluster/cluster.ts';
import type { KubeClient } from '../../kube/client.ts';
import { connect } from '../../kube/connect.ts';
import { resources } from '../../kube/resources.ts';
import type { KubeObject, Resource } from '../../kube/types.ts';
import { customResources } from '../../operator/custom-resources.ts';
import { eventually } from '../../process/testing/waiting.ts';

/** Where the chart is installed in tests. */
export const cadreNamespace = 'cadre-system';

/** The shared cluster as the tests of one file see it. */
export interface World {
  cluster: LocalCluster;
  kube: KubeClient;
  /** A namespace of this file's own, which enforces the `restricted` profile and has the claim `models`. */
  namespace: string;
  /** The router, as reached from this machine. */
  routerUrl: string;
  /** A client key, in the Secret `client-key` of the namespace. */
  key: string;
}

/** Connects the tests of a file with the cluster; their namespace goes with them. */
export function useWorld(prefix: string): World {
  const world = {} as World;
  beforeAll(async () => {
    world.cluster = await connectLocal({ dir: inject('clusterDir'), log: () => undefined });
    world.kube = await connect({ kubeconfig: { path: world.cluster.kubeconfig } });
    world.namespace = `${prefix}-${randomBytes(3).toString('hex')}`;
    world.key = randomBytes(24).toString('base64url');
    const labels = { 'pod-security.kubernetes.io/enforce': 'restricted' };
    await create(world.kube, resources.namespaces, { metadata: { name: world.namespace, labels } });
    await world.cluster.offerVolume({ namespace: world.namespace });
    await create(world.kube, resources.secrets, {
      metadata: { name: 'client-key', namespace: world.namespace },
      stringData: { token: world.key },
    });
    const router = await world.kube.get<KubeObject & { spec: { clusterIP: string } }>(
      resources.services,
      'cadre-router',
      cadreNamespace,
    );
    world.routerUrl = `http://${router.spec.clusterIP}`;
  });
  afterAll(async () => {
    await world.kube?.delete(resources.namespaces, world.namespace, undefined);
    await world.kube?.close();
  });
  return world;
}

/** Creates an object given without what its resource says already. */
export function create(kube: KubeClient, resource: Resource, object: object): Promise<KubeObject> {
  return kube.create(resource, { apiVersion: resource.apiVersion, kind: resource.kind, ...object } as KubeObject);
}

/** Applies a SpecializedModel of the file's namespace, as a user would. */
export function applyModel({ kube, namespace }: World, name: string, spec: object): Promise<KubeObject> {
  const { apiVersion, kind } = customResources.models;
  const object = { apiVersion, kind, metadata: { name, namespace }, spec };
  return kube.apply(customResources.models, object, { fieldManager: 'test' });
}

/** Applies a RoutingPolicy of the file's namespace, open to the key of the Secret `client-key` unless `spec` says else. */
export function applyPolicy({ kube, namespace }: World, name: string, spec: object): Promise<KubeObject> {
  const { apiVersion, kind } = customResources.policies;
  const access = { keys: [{ name: 'test', secretRef: { name: 'client-key', key: 'token' } }] };
  const object = { apiVersion, kind, metadata: { name, namespace }, spec: { access, ...spec } };
  return kube.apply(customResources.policies, object, { fieldManager: 'test' });
}

/** A specialist on the real llama-server. */
export const smollm2 = (replicas = 1, changes: object = {}) => ({
  task: 'Generation',
  model: { uri: 'pvc://models/SmolLM2-135M-Instruct.Q4_1.gguf' },
  engine: { type: 'LlamaCpp', maxModelLength: 2048, maxConcurrency: 4, ...changes },
  resources: { requests: { cpu: '100m', memory: '512Mi' }, limits: { memory: '1Gi' } },
  replicas,
});

interface WithConditions extends KubeObject {
  status?: { conditions?: Condition[]; readyReplicas?: number; observedGeneration?: number };
}

/** Waits until a condition of an object is as expected, for its newest generation, and gives the condition. */
export function condition(
  { kube, namespace }: World,
  kind: 'models' | 'policies',
  name: string,
  expected: { type: string; status: string; reason?: string | undefined },
  timeoutMs = 120_000,
): Promise<Condition> {
  const what = `${name} to be ${expected.type}=${expected.status}${expected.reason ? `/${expected.reason}` : ''}`;
  return eventually(
    what,
    async () => {
      const object = await kube.get<WithConditions>(customResources[kind], name, namespace);
      const found = object.status?.conditions?.find(({ type }) => type === expected.type);
      const current = object.status?.observedGeneration === object.metadata.generation;
      const matches = found?.status === expected.status && (!expected.reason || found.reason === expected.reason);
      if (!found || !matches || !current) throw new Error(`it is ${JSON.stringify(object.status)}`);
      return found;
    },
    timeoutMs,
  );
}

/** Waits until a model has so many pods, all of them ready, and no other that still ends. */
export function settled({ kube, namespace }: World, name: string, replicas: number): Promise<void> {
  return eventually(
    `${name} to have ${replicas} pods, all ready`,
    async () => {
      const selection = { namespace, labelSelector: `cadre.dev/model=${name}` };
      const { items } = await kube.list(resources.pods, selection, { limit: 0 });
      const { status } = await kube.get<WithConditions>(customResources.models, name, namespace);
      if (items.length !== replicas || (status?.readyReplicas ?? 0) !== replicas)
        throw new Error(`${items.length} pods, status ${JSON.stringify(status)}`);
    },
    240_000,
  );
}
