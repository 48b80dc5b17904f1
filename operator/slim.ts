import type { KubeObject, ObjectMeta } from '../kube/types.ts';
import type { Deployment, Node, Pod } from './context.ts';

/*
 * What of an object stays in memory: thousands do, and most of what is in them nobody reads. Objects are built anew rather
 * than cut, because V8 turns an object that lost a property into a hash table several times its size.
 */

/** A child whose status nobody reads. */
export function slimChild<T extends KubeObject>(object: T & { status?: unknown }): T {
  const { apiVersion, kind, metadata, status: _, ...rest } = object;
  const shaped = { apiVersion: shared(apiVersion), kind: shared(kind), metadata: slimMetadata(metadata) };
  return { ...shaped, ...share(rest) } as unknown as T;
}

export function slimDeployment({ apiVersion, kind, metadata, spec, status }: Deployment): Deployment {
  const { observedGeneration, conditions } = status ?? {};
  return {
    apiVersion: shared(apiVersion),
    kind: shared(kind),
    metadata: slimMetadata(metadata),
    spec: share(spec),
    status: share({
      observedGeneration,
      conditions: conditions?.map(({ type, status: is, reason, message }) => ({ type, status: is, reason, message })),
    }),
  } as unknown as Deployment;
}

/**
 * An object of ours. While its generation is the same, so is its `spec`, the very object: what was made of it once need not
 * be made again.
 */
export function slimOwn<T extends KubeObject & { spec: unknown }>(object: T, before: T | undefined): T {
  const { apiVersion, kind, metadata, spec, ...rest } = object;
  const isSame = before?.metadata.uid === metadata.uid && before?.metadata.generation === metadata.generation;
  const kept = slimMetadata(metadata);
  return {
    apiVersion: shared(apiVersion),
    kind: shared(kind),
    metadata: kept,
    spec: isSame ? before?.spec : spec,
    ...rest,
  } as T;
}

export function slimPod({ apiVersion, kind, metadata, spec, status }: Pod): Pod {
  const { phase, conditions, containerStatuses, initContainerStatuses, reason, message } = status ?? {};
  return {
    apiVersion: shared(apiVersion),
    kind: shared(kind),
    metadata: slimMetadata(metadata),
    spec: share({
      nodeName: spec?.nodeName,
      containers: spec?.containers?.map(slimContainer),
      initContainers: spec?.initContainers?.map(slimContainer),
    }),
    status: share({ phase, conditions, containerStatuses, initContainerStatuses, reason, message }),
  } as unknown as Pod;
}

function slimContainer({ name, image, resources }: NonNullable<Pod['spec']>['containers'][number]) {
  return { name, image, resources: resources?.limits && { limits: resources.limits } };
}

/** Without `status.images`, which is most of a node. */
export function slimNode({ apiVersion, kind, metadata, spec, status }: Node): Node {
  return {
    apiVersion,
    kind,
    metadata: slimMetadata(metadata),
    spec: { taints: spec?.taints, unschedulable: spec?.unschedulable },
    status: {
      allocatable: status?.allocatable,
      conditions: status?.conditions?.filter(({ type }) => type === 'Ready'),
    },
  } as unknown as Node;
}

/** kubectl's copy of what was applied is as large as the object. */
const lastApplied = 'kubectl.kubernetes.io/last-applied-configuration';

function slimMetadata(metadata: ObjectMeta): ObjectMeta {
  const { name, namespace, uid, resourceVersion, generation, creationTimestamp, deletionTimestamp } = metadata;
  const { labels, annotations, ownerReferences, finalizers } = metadata;
  const kept = annotations && lastApplied in annotations ? without(annotations, lastApplied) : annotations;
  return {
    name: shared(name),
    namespace: namespace && shared(namespace),
    uid: uid && shared(uid),
    resourceVersion,
    generation,
    creationTimestamp: creationTimestamp && shared(creationTimestamp),
    deletionTimestamp,
    labels: share(labels),
    annotations: share(kept),
    ownerReferences: share(ownerReferences),
    finalizers: share(finalizers),
  } as ObjectMeta;
}

function without(record: Record<string, string>, key: string): Record<string, string> {
  return Object.fromEntries(Object.entries(record).filter(([name]) => name !== key));
}

/** Strings that were seen lately. The same few hundred stand in every object. */
const seen = new Map<string, string>();
const mostSeen = 20_000;
const longestShared = 64;

/** The same string for equal ones. */
function shared(text: string): string {
  if (text.length > longestShared) return text;
  const known = seen.get(text);
  if (known !== undefined) return known;
  if (seen.size >= mostSeen) seen.clear();
  seen.set(text, text);
  return text;
}

/** Makes equal strings in a JSON value the same string, in place. */
function share<T>(value: T): T {
  if (typeof value === 'string') return shared(value) as T;
  if (Array.isArray(value)) {
    for (let i = 0; i < value.length; i++) value[i] = share(value[i]);
  } else if (typeof value === 'object' && value !== null) {
    const record = value as Record<string, unknown>;
    for (const key in record) record[key] = share(record[key]);
  }
  return value;
}
