import type { RoutingPolicy } from '../../../crds/v1alpha1/kinds.ts';
import { type ObjectKey, splitKey } from '../../../kube/types.ts';
import type { OperatorConfig } from '../../config.ts';
import type { Caches, Secret, SecretReader } from '../../context.ts';
import { asNamesake, type Sources } from './compile.ts';
import { isOlder, shortNameOf } from './names.ts';
import { routeSecretName } from './route-secret.ts';

/** How Secrets know who asked for them. */
export const controllerName = 'routing-policy';

/** What there is of one policy. */
export interface SeenPolicy {
  /** Absent when it is gone or going: then only its route may be left. */
  sources?: Sources;
  /** Its route Secret as it is now. */
  route?: Secret;
}

/** Looks at the caches, and names the Secrets that the policy's compilation needs. */
export function observe(
  key: ObjectKey,
  caches: Pick<Caches, 'policies' | 'models' | 'routes'>,
  secrets: SecretReader,
  config: OperatorConfig,
): SeenPolicy {
  const reader = { controller: controllerName, key };
  // Forgotten and named again: what the policy no longer names is no longer read.
  secrets.forget(reader);
  const route = caches.routes.get(`${config.namespace}/${routeSecretName(key)}`);
  const policy = caches.policies.get(key);
  const seen: SeenPolicy = route ? { route } : {};
  if (!policy || isGoing(policy)) return seen;
  const { namespace } = splitKey(key);
  const secretIn = (where: string) => (name: string) => secrets.view(where, name, reader);
  const namesakes = caches.policies
    .byIndex('shortName', shortNameOf(policy))
    .filter((other) => isOlder(other, policy) && !isGoing(other))
    .map((other: RoutingPolicy) => asNamesake(other, secretIn(other.metadata.namespace), config));
  return {
    ...seen,
    sources: {
      policy,
      secret: secretIn(namespace),
      model: (name) => caches.models.get(`${namespace}/${name}`),
      namesakes,
      config,
    },
  };
}

/** Deleted, and kept a while by a finalizer that is not ours. */
function isGoing({ metadata }: RoutingPolicy): boolean {
  return metadata.deletionTimestamp !== undefined;
}
