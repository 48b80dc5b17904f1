import { createHash } from 'node:crypto';
import {
  managedByLabel,
  managedByValue,
  routeDataKey,
  routeLabel,
  routePolicyAnnotation,
  routePolicyUidAnnotation,
  routeSecretType,
} from '../../../crds/names.ts';
import { type Route, routeSchema } from '../../../crds/route-table.ts';
import type { ObjectKey, OwnerReference } from '../../../kube/types.ts';
import type { Secret } from '../../context.ts';

/** Name of the Secret with a policy's route: short, whatever the policy's name, and the same after any restart. */
export function routeSecretName(policy: ObjectKey): string {
  return `route-${createHash('sha256').update(policy).digest('hex').slice(0, 16)}`;
}

/** The Secret that carries a route to the router. */
export function routeSecret(route: Route, namespace: string, owner: OwnerReference): Secret {
  const policy = `${route.policy.namespace}/${route.policy.name}`;
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: {
      name: routeSecretName(policy),
      namespace,
      labels: { [managedByLabel]: managedByValue, [routeLabel]: 'true' },
      annotations: { [routePolicyAnnotation]: policy, [routePolicyUidAnnotation]: route.policy.uid },
      ownerReferences: [owner],
    },
    type: routeSecretType,
    data: { [routeDataKey]: Buffer.from(JSON.stringify(route)).toString('base64') },
  };
}

/** The route in a Secret, or undefined where it is none that this version reads. */
export function routeOf(secret: Secret): Route | undefined {
  try {
    const text = Buffer.from(secret.data?.[routeDataKey] ?? '', 'base64').toString('utf8');
    return routeSchema.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}

/** The policy (`namespace/name`) that a route Secret was compiled from. */
export function policyOf(secret: Secret): ObjectKey | undefined {
  return secret.metadata.annotations?.[routePolicyAnnotation];
}

/** Whether a route Secret was compiled from this very policy, not from an earlier one of its name. */
export function isCompiledFrom(secret: Secret, policy: { metadata: { uid: string } }): boolean {
  return secret.metadata.annotations?.[routePolicyUidAnnotation] === policy.metadata.uid;
}
