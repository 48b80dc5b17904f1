import type { Registry } from 'prom-client';
import { group } from '../crds/names.ts';
import type { RoutingPolicyStatus } from '../crds/v1alpha1/routing-policy.ts';
import type { SpecializedModelStatus } from '../crds/v1alpha1/specialized-model.ts';
import { Applier } from '../kube/applier.ts';
import { Controller } from '../kube/controller.ts';
import type { EventRecorder } from '../kube/events.ts';
import type { Reflector } from '../kube/reflector.ts';
import { resources } from '../kube/resources.ts';
import { type Cluster, type KubeObject, keyOf, type ObjectKey, type Resource } from '../kube/types.ts';
import { systemClock } from '../process/clock.ts';
import type { Logger } from '../process/logger.ts';
import type { OperatorConfig } from './config.ts';
import { controllerName as policyController } from './controllers/routing-policy/observe.ts';
import { reconcilePolicy } from './controllers/routing-policy/reconcile.ts';
import { routeOwner } from './controllers/routing-policy/route-owner.ts';
import { policyOf } from './controllers/routing-policy/route-secret.ts';
import { controllerName as modelController } from './controllers/specialized-model/observe.ts';
import { reconcileModel } from './controllers/specialized-model/reconcile.ts';
import { customResources } from './custom-resources.ts';
import {
  isStatusOnly,
  modelsOfChild,
  modelsOfDeployment,
  modelsOfNode,
  policiesOfModel,
  policiesOfPolicy,
  policiesOfRoute,
} from './event-mapping.ts';
import { createSecretReader } from './secret-reader.ts';
import { createTemplateReader } from './template-reader.ts';
import { ToldStatuses } from './told-statuses.ts';
import type { Watches } from './watches.ts';

export interface ControllersOptions {
  /** Takes writes only while this process leads. */
  cluster: Cluster;
  watches: Watches;
  events: EventRecorder;
  config: OperatorConfig;
  log: Logger;
  registry: Registry;
}

/** The controllers, which work while this process leads. */
export interface Controllers {
  start(): void;
  /** Takes no more work, and waits so many milliseconds for what is under way. False when it has not ended. */
  stop(deadlineMs: number): Promise<boolean>;
  /** Ends for good: what waits is dropped. */
  close(): Promise<void>;
}

/** Objects of each kind that are worked on at a time. */
const concurrency = 16;

/**
 * What the cluster makes of a change comes as a burst of events: five children, the Deployment's status in several steps,
 * pods. One look after it, so many milliseconds later, sees them all; what a user changes is looked at at once.
 */
const burstMs = 200;

/** Connects what the caches see to whom it concerns. */
export function createControllers({
  cluster,
  watches,
  events,
  config,
  log,
  registry,
}: ControllersOptions): Controllers {
  const { caches, reflectors } = watches;
  const secrets = createSecretReader({
    cluster,
    log,
    changed: ({ controller, key }) => (controller === modelController ? models : policies).enqueue(key),
  });
  const templates = createTemplateReader({ cluster, log, changed: ({ key }) => models.enqueue(key) });
  const reached = reachedIn(Object.values(reflectors) as Reflector<KubeObject>[]);
  const intentAnnotation = `${group}/intent`;
  const applierOf = (name: string) =>
    new Applier({ cluster, fieldManager: `cadre-${name}`, intentAnnotation, reached });
  const common = { caches, secrets, cluster, events, config, clock: systemClock };

  const applier = applierOf(modelController);
  const modelContext = { ...common, templates, applier, told: new ToldStatuses<SpecializedModelStatus>() };
  const models = new Controller({
    name: modelController,
    reconcile: (key, { log: own }) => reconcileModel(key, { ...modelContext, log: own }),
    keys: () => keysOf(caches.models.list()),
    concurrency,
    log,
    registry,
  });
  const policyContext = {
    ...common,
    applier: applierOf(policyController),
    routeOwner: routeOwner(cluster, config),
    told: new ToldStatuses<RoutingPolicyStatus>(),
  };
  const policies = new Controller({
    name: policyController,
    reconcile: (key, { log: own }) => reconcilePolicy(key, { ...policyContext, log: own }),
    // Routes as well: their policies may have gone while nobody led.
    keys: () =>
      new Set([...keysOf(caches.policies.list()), ...[...caches.routes.list()].flatMap((one) => policyOf(one) ?? [])]),
    concurrency,
    log,
    registry,
  });

  const isOwn = (resource: Resource, { after }: { after?: Pick<KubeObject, 'metadata'> }): boolean =>
    after !== undefined && applier.isOwnWrite(resource, after);
  const toModels = (keys: Iterable<ObjectKey>): void => {
    for (const key of keys) models.queue.addAfter(key, burstMs);
  };
  const toPolicies = (keys: Iterable<ObjectKey>): void => {
    for (const key of keys) policies.enqueue(key);
  };
  reflectors.models.onChange((change) => {
    if (!isStatusOnly(change)) models.enqueue(change.key);
    else if (!isOwn(customResources.models, change)) toModels([change.key]);
    toPolicies(policiesOfModel(change, caches));
  });
  const { deployments, services, serviceAccounts, podDisruptionBudgets, networkPolicies, pods } = reflectors;
  for (const child of [services, serviceAccounts, networkPolicies] as Reflector<KubeObject>[]) {
    child.onChange((change) => {
      if (!isOwn(child.resource, change)) toModels(modelsOfChild(change));
    });
  }
  deployments.onChange((change) => {
    if (!isOwn(resources.deployments, change)) toModels(modelsOfDeployment(change));
  });
  // Its status changes with every pod, and nobody reads it.
  podDisruptionBudgets.onChange((change) => {
    if (!isStatusOnly(change) && !isOwn(resources.podDisruptionBudgets, change)) toModels(modelsOfChild(change));
  });
  pods.onChange((change) => toModels(modelsOfChild(change)));
  reflectors.nodes.onChange((change) => toModels(modelsOfNode(change, caches)));
  reflectors.policies.onChange((change) => toPolicies(policiesOfPolicy(change, caches)));
  reflectors.routes.onChange((change) => toPolicies(policiesOfRoute(change)));

  return {
    start() {
      models.start();
      policies.start();
    },
    async stop(deadlineMs) {
      const ended = await Promise.all([models.stop(deadlineMs), policies.stop(deadlineMs)]);
      secrets.clear();
      templates.clear();
      return ended.every(Boolean);
    },
    async close() {
      await Promise.all([models.queue.drain(0), policies.queue.drain(0)]);
    },
  };
}

function* keysOf(
  objects: Iterable<KubeObject | { metadata: { namespace: string; name: string } }>,
): Iterable<ObjectKey> {
  for (const object of objects) yield keyOf(object);
}

function reachedIn(reflectors: Reflector<KubeObject>[]) {
  const byPlural = new Map(reflectors.map((one) => [one.resource.plural, one]));
  return ({ plural }: { plural: string }, namespace: string | undefined) => byPlural.get(plural)?.reached(namespace);
}
