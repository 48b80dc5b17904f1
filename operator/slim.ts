import { equals } from '../kube/match.ts';
import { type KubeObject, keyOf, type ObjectMeta, type Store } from '../kube/types.ts';
import type { Deployment, Node, Pod } from './context.ts';
import { shared, sharedPart, sharedTree } from './sharing.ts';

/*
 * What of an object stays in memory: thousands do, and most of what is in them nobody reads. Objects are built anew rather
 * than cut, because V8 turns an object that lost a property into a hash table several times its size. What they have in common
 * they share (`sharing.ts`).
 *
 * While the generation of an object is the same, so is its `spec`: the very object. Most events are about its status.
 */

/** Keeps what of an object stays in memory; `before` is what is kept of it now. */
export type Slim<T> = (object: T, before: T | undefined) => T;

/** A transform for a reflector whose store is made only after it. */
export function slimming<T extends KubeObject>(slim: Slim<T>, store: () => Store<T>): (object: T) => T {
  return (object) => slim(object, store().get(keyOf(object)));
}

/** A child whose status nobody reads. */
export function slimChild<T extends KubeObject>(
  object: T & { status?: unknown; spec?: unknown },
  before: T | undefined,
): T {
  const { apiVersion, kind, metadata, status: _, spec, ...rest } = object;
  return {
    apiVersion: shared(apiVersion),
    kind: shared(kind),
    metadata: slimMetadata(metadata, before),
    ...(spec !== undefined && { spec: specOf(object, before) }),
    ...sharedTree(rest),
  } as unknown as T;
}

export function slimDeployment(deployment: Deployment, before: Deployment | undefined): Deployment {
  const { apiVersion, kind, metadata, status } = deployment;
  const { observedGeneration, conditions } = status ?? {};
  return {
    apiVersion: shared(apiVersion),
    kind: shared(kind),
    metadata: slimMetadata(metadata, before),
    spec: specOf(deployment, before),
    status: {
      observedGeneration,
      conditions: sharedPart(conditions?.map(slimCondition)),
    },
  } as unknown as Deployment;
}

/** An object of ours. What was made of its spec once need not be made again. */
export function slimOwn<T extends KubeObject & { spec: unknown }>(object: T, before: T | undefined): T {
  const { apiVersion, kind, metadata, spec: _, ...rest } = object;
  const shaped = { apiVersion: shared(apiVersion), kind: shared(kind), metadata: slimMetadata(metadata, before) };
  return { ...shaped, spec: specOf(object, before), ...rest } as unknown as T;
}

export function slimPod(pod: Pod, before: Pod | undefined): Pod {
  const { apiVersion, kind, metadata, spec, status } = pod;
  const { phase, conditions, containerStatuses, initContainerStatuses, reason, message } = status ?? {};
  return {
    apiVersion: shared(apiVersion),
    kind: shared(kind),
    metadata: slimMetadata(metadata, before),
    spec: {
      nodeName: spec?.nodeName,
      containers: sharedPart(spec?.containers?.map(slimContainer)),
      initContainers: sharedPart(spec?.initContainers?.map(slimContainer)),
    },
    status: {
      phase,
      conditions: sharedPart(conditions?.map(slimCondition)),
      containerStatuses,
      initContainerStatuses,
      reason,
      message,
    },
  } as unknown as Pod;
}

interface Condition {
  type: string;
  status: string;
  reason?: string;
  message?: string;
  lastTransitionTime?: string;
}

function slimCondition({ type, status, reason, message, lastTransitionTime }: Condition): Condition {
  const said = { ...(reason !== undefined && { reason }), ...(message !== undefined && { message }) };
  return { type, status, ...said, ...(lastTransitionTime !== undefined && { lastTransitionTime }) };
}

function slimContainer({ name, image, resources }: NonNullable<Pod['spec']>['containers'][number]) {
  return { name, image, ...(resources?.limits && { resources: { limits: resources.limits } }) };
}

/** Without `status.images`, which is most of a node. */
export function slimNode(node: Node, before: Node | undefined): Node {
  const { apiVersion, kind, metadata, spec, status } = node;
  return {
    apiVersion,
    kind,
    metadata: slimMetadata(metadata, before),
    spec: { taints: spec?.taints, unschedulable: spec?.unschedulable },
    status: {
      allocatable: status?.allocatable,
      conditions: status?.conditions?.filter(({ type }) => type === 'Ready'),
    },
  } as unknown as Node;
}

interface Specified extends KubeObject {
  spec?: unknown;
}

function specOf(object: Specified, before: Specified | undefined): unknown {
  const { uid, generation } = object.metadata;
  const isSame = generation !== undefined && before?.metadata.uid === uid && before?.metadata.generation === generation;
  return isSame ? before?.spec : sharedTree(object.spec);
}

/** kubectl's copy of what was applied is as large as the object. */
const lastApplied = 'kubectl.kubernetes.io/last-applied-configuration';

function slimMetadata(metadata: ObjectMeta, before: KubeObject | undefined): ObjectMeta {
  const { resourceVersion, generation, deletionTimestamp, annotations, finalizers } = metadata;
  const known = before?.metadata.uid === metadata.uid ? before?.metadata : undefined;
  const fresh = annotations && lastApplied in annotations ? without(annotations, lastApplied) : annotations;
  return {
    name: known?.name ?? shared(metadata.name),
    namespace: known ? known.namespace : metadata.namespace && shared(metadata.namespace),
    uid: known?.uid ?? (metadata.uid && shared(metadata.uid)),
    resourceVersion,
    generation,
    creationTimestamp: known?.creationTimestamp ?? (metadata.creationTimestamp && shared(metadata.creationTimestamp)),
    deletionTimestamp,
    labels: equals(known?.labels, metadata.labels) ? known?.labels : sharedPart(metadata.labels),
    annotations: equals(known?.annotations, fresh) ? known?.annotations : fresh,
    ownerReferences: equals(known?.ownerReferences, metadata.ownerReferences)
      ? known?.ownerReferences
      : sharedPart(metadata.ownerReferences),
    finalizers,
  } as ObjectMeta;
}

function without(record: Record<string, string>, key: string): Record<string, string> {
  return Object.fromEntries(Object.entries(record).filter(([name]) => name !== key));
}
