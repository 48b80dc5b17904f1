import type { KubeObject } from '../kube/types.ts';
import type { Node, Pod } from './context.ts';

/** What of an object stays in memory. Thousands of them do, and most of what is in them nobody reads. */

export function withoutStatus<T extends KubeObject>(object: T): T {
  delete (object as { status?: unknown }).status;
  return object;
}

/** kubectl's copy of what was applied is as large as the object. */
export function withoutLastApplied<T extends KubeObject>(object: T): T {
  delete object.metadata.annotations?.['kubectl.kubernetes.io/last-applied-configuration'];
  return object;
}

export function slimPod({ apiVersion, kind, metadata, spec, status }: Pod): Pod {
  const {
    name,
    namespace,
    uid,
    resourceVersion,
    creationTimestamp,
    deletionTimestamp,
    labels,
    annotations,
    ownerReferences,
  } = metadata;
  const { phase, conditions, containerStatuses, initContainerStatuses, reason, message } = status ?? {};
  return strip({
    apiVersion,
    kind,
    metadata: {
      name,
      namespace,
      uid,
      resourceVersion,
      creationTimestamp,
      deletionTimestamp,
      labels,
      annotations,
      ownerReferences,
    },
    spec: {
      nodeName: spec?.nodeName,
      containers: spec?.containers?.map(slimContainer),
      initContainers: spec?.initContainers?.map(slimContainer),
    },
    status: { phase, conditions, containerStatuses, initContainerStatuses, reason, message },
  } as unknown as Pod);
}

function slimContainer({ name, image, resources }: NonNullable<Pod['spec']>['containers'][number]) {
  return { name, image, ...(resources?.limits && { resources: { limits: resources.limits } }) };
}

/** Without `status.images`, which is most of a node. */
export function slimNode({ apiVersion, kind, metadata, spec, status }: Node): Node {
  const { name, uid, resourceVersion, labels } = metadata;
  const conditions = status?.conditions?.filter(({ type }) => type === 'Ready');
  return strip({
    apiVersion,
    kind,
    metadata: { name, uid, resourceVersion, labels },
    spec: { taints: spec?.taints, unschedulable: spec?.unschedulable },
    status: { allocatable: status?.allocatable, conditions },
  } as unknown as Node);
}

/** Drops fields without a value, so that "absent" has one form. */
function strip<T extends KubeObject>(object: T): T {
  for (const part of [object.metadata, (object as { spec?: object }).spec, (object as { status?: object }).status]) {
    for (const [key, value] of Object.entries(part ?? {})) {
      if (value === undefined) delete (part as Record<string, unknown>)[key];
    }
  }
  return object;
}
