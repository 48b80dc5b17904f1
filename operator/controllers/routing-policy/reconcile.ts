import { isDeepStrictEqual } from 'node:util';
import type { RoutingPolicy } from '../../../crds/v1alpha1/kinds.ts';
import type { RoutingPolicyStatus } from '../../../crds/v1alpha1/routing-policy.ts';
import { isKubeError } from '../../../kube/errors.ts';
import { resources } from '../../../kube/resources.ts';
import type { Cluster, KubeObject, ObjectKey, OwnerReference, Requeue, Resource } from '../../../kube/types.ts';
import type { Clock } from '../../../process/clock.ts';
import type { Logger } from '../../../process/logger.ts';
import type { OperatorConfig } from '../../config.ts';
import type { Caches, Secret, SecretReader } from '../../context.ts';
import { customResources } from '../../custom-resources.ts';
import type { ToldStatuses } from '../../told-statuses.ts';
import { type Compilation, compileRoute } from './compile.ts';
import { eventOf } from './events.ts';
import { observe } from './observe.ts';
import { retainRoute } from './retain.ts';
import { isCompiledFrom, routeOf, routeSecret } from './route-secret.ts';
import { isPaused, pausedStatus, policyStatus } from './status.ts';

/** What a reconcile of a policy works with. */
export interface PolicyContext {
  caches: Pick<Caches, 'policies' | 'models' | 'routes'>;
  secrets: SecretReader;
  applier: {
    apply<T extends KubeObject>(resource: Resource, desired: T, live: T | undefined): Promise<unknown>;
    applyStatus(resource: Resource, live: KubeObject, status: object): Promise<unknown>;
  };
  cluster: Pick<Cluster, 'delete'>;
  events: { record(regarding: KubeObject, event: NonNullable<ReturnType<typeof eventOf>>): void };
  /** The owner reference of route Secrets. */
  routeOwner: () => Promise<OwnerReference>;
  config: OperatorConfig;
  clock: Clock;
  log: Logger;
  /** One for all policies. */
  told: ToldStatuses<RoutingPolicyStatus>;
}

/**
 * Makes the route of a policy what the policy says, and its status what is so. From any state, any number of times; writes
 * nothing where nothing changed. Also for the key of a policy that is gone: then its route goes.
 */
export async function reconcilePolicy(key: ObjectKey, context: PolicyContext): Promise<Requeue> {
  const { caches, secrets, config } = context;
  const { sources, route } = observe(key, caches, secrets, config);
  if (!sources) {
    context.told.forget(key);
    if (route) await deleteRoute(route, context);
    return 'never';
  }
  const status = context.told.last(key, sources.policy);
  const policy = { ...sources.policy, ...(status && { status }) };
  const isPredecessors = route !== undefined && !isCompiledFrom(route, policy);
  if (isPaused(policy)) {
    if (isPredecessors) await deleteRoute(route, context);
    await tell(key, policy, pausedStatus(policy, context.clock.now()), context);
    return 'never';
  }
  const compilation = compileRoute(sources);
  await applyRoute(compilation, route, isPredecessors, context);
  const next = policyStatus(policy, compilation, context.clock.now());
  if (next) await tell(key, policy, next, context);
  return 'never';
}

async function applyRoute(
  compilation: Compilation,
  live: Secret | undefined,
  isPredecessors: boolean,
  context: PolicyContext,
): Promise<void> {
  const { applier, config, routeOwner } = context;
  if (compilation.outcome === 'Compiled') {
    const desired = routeSecret(compilation.route, config.namespace, await routeOwner());
    await applier.apply(resources.secrets, desired, live);
    return;
  }
  if (!live) return;
  // What an earlier policy of this name was allowed, this one is not.
  if (isPredecessors) return deleteRoute(live, context);
  if (compilation.outcome !== 'Refused' || !compilation.permitted) return;
  const last = routeOf(live);
  if (!last) return;
  const kept = retainRoute(last, compilation.permitted);
  if (isDeepStrictEqual(kept, last)) return;
  await applier.apply(resources.secrets, routeSecret(kept, config.namespace, await routeOwner()), live);
}

async function deleteRoute({ metadata }: Secret, { cluster, log }: PolicyContext): Promise<void> {
  log.info({ secret: metadata.name }, 'deleting the route of a policy that is gone');
  const { uid } = metadata;
  await cluster.delete(resources.secrets, metadata.name, metadata.namespace, uid === undefined ? {} : { uid });
}

async function tell(
  key: ObjectKey,
  policy: RoutingPolicy,
  status: RoutingPolicyStatus,
  { applier, events, log, told }: PolicyContext,
): Promise<void> {
  if (isDeepStrictEqual(policy.status, status)) return;
  try {
    await applier.applyStatus(customResources.policies, policy, status);
  } catch (error) {
    // Deleted since it was read: its going brings the key back.
    if (isKubeError(error, 'NotFound')) return;
    throw error;
  }
  told.remember(key, policy, status);
  const event = eventOf(policy.status, status);
  if (!event) return;
  events.record(policy, event);
  log.info({ reason: event.reason }, event.note);
}
