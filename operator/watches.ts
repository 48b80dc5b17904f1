import type { Registry } from 'prom-client';
import { managedByLabel, managedByValue, modelLabel, routeLabel } from '../crds/names.ts';
import type { RoutingPolicy, SpecializedModel } from '../crds/v1alpha1/kinds.ts';
import { Reflector } from '../kube/reflector.ts';
import { resources } from '../kube/resources.ts';
import type { Cluster, Indexer, KubeObject, Resource } from '../kube/types.ts';
import type { Logger } from '../process/logger.ts';
import type { OperatorConfig } from './config.ts';
import type {
  Caches,
  Deployment,
  NetworkPolicy,
  Node,
  Pod,
  PodDisruptionBudget,
  Secret,
  Service,
  ServiceAccount,
} from './context.ts';
import { customResources } from './custom-resources.ts';
import { podIndexes, policyIndexes } from './event-mapping.ts';
import { slimChild, slimDeployment, slimming, slimNode, slimOwn, slimPod } from './slim.ts';

type Reflectors = {
  [K in keyof Caches]: Caches[K] extends { list(): Iterable<infer T extends KubeObject> } ? Reflector<T> : never;
};

/** Every watch of the operator. */
export interface Watches {
  reflectors: Reflectors;
  caches: Caches;
  start(): void;
  stop(): Promise<void>;
  /** Resolves when every cache holds a whole list; false when stopped before. */
  synced(): Promise<boolean>;
  /** Kinds whose first list has not come yet. */
  missing(): string[];
  /** Why the process had better be started again, in words: a watch that stays silent while others hear. */
  stuck(): string | undefined;
}

/** The API server sends bookmarks every minute or so; a watch is reopened after at most ten. */
const silentMs = 15 * 60_000;

/** Watches what Cadre's labels mark, in the namespaces that the configuration names, and all nodes. */
export function createWatches(cluster: Cluster, config: OperatorConfig, log: Logger, registry: Registry): Watches {
  const everywhere = { cluster, log, registry };
  const namespaced = { ...everywhere, namespaces: config.watchNamespaces };
  const children = { ...namespaced, labelSelector: `${managedByLabel}=${managedByValue},${modelLabel}` };
  const child = <T extends KubeObject>(resource: Resource): Reflector<T> => {
    const made: Reflector<T> = new Reflector<T>({
      ...children,
      resource,
      transform: slimming(slimChild, () => made.store),
    });
    return made;
  };
  const indexers = <T extends KubeObject>(value: Record<string, Indexer<T>>) => value;
  const reflectors: Reflectors = {
    models: new Reflector<SpecializedModel>({
      ...namespaced,
      resource: customResources.models,
      transform: slimming(slimOwn, () => reflectors.models.store),
    }),
    policies: new Reflector<RoutingPolicy>({
      ...namespaced,
      resource: customResources.policies,
      transform: slimming(slimOwn, () => reflectors.policies.store),
      indexers: policyIndexes,
    }),
    deployments: new Reflector<Deployment>({
      ...children,
      resource: resources.deployments,
      transform: slimming(slimDeployment, () => reflectors.deployments.store),
    }),
    services: child<Service>(resources.services),
    serviceAccounts: child<ServiceAccount>(resources.serviceAccounts),
    podDisruptionBudgets: child<PodDisruptionBudget>(resources.podDisruptionBudgets),
    networkPolicies: child<NetworkPolicy>(resources.networkPolicies),
    pods: new Reflector<Pod>({
      ...namespaced,
      resource: resources.pods,
      labelSelector: modelLabel,
      transform: slimming(slimPod, () => reflectors.pods.store),
      indexers: indexers<Pod>(podIndexes),
    }),
    nodes: new Reflector<Node>({
      ...everywhere,
      resource: resources.nodes,
      transform: slimming(slimNode, () => reflectors.nodes.store),
    }),
    routes: new Reflector<Secret>({
      ...everywhere,
      resource: resources.secrets,
      namespaces: [config.namespace],
      labelSelector: `${routeLabel}=true`,
      transform: slimming(slimChild, () => reflectors.routes.store),
    }),
  };
  const all = Object.values(reflectors) as Reflector<KubeObject>[];
  return {
    reflectors,
    caches: Object.fromEntries(
      Object.entries(reflectors).map(([name, { store }]) => [name, store]),
    ) as unknown as Caches,
    start: () => all.forEach((one) => one.start()),
    async stop() {
      await Promise.all(all.map((one) => one.stop()));
    },
    synced: async () => (await Promise.all(all.map((one) => one.synced()))).every(Boolean),
    missing: () => all.filter((one) => !one.hasSynced).map(({ resource }) => resource.plural),
    stuck() {
      const ages = all.map((one) => one.lastEventAgeMs());
      const silent = all.find((_, i) => (ages[i] ?? 0) > silentMs);
      if (!silent || Math.min(...ages) > 2 * 60_000) return undefined;
      return `the watch of ${silent.resource.plural} has been silent for ${Math.round(silent.lastEventAgeMs() / 60_000)} min`;
    },
  };
}
