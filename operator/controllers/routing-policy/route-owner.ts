import { isKubeError } from '../../../kube/errors.ts';
import type { Cluster, KubeObject, OwnerReference } from '../../../kube/types.ts';
import { UserError } from '../../../process/errors.ts';
import type { OperatorConfig } from '../../config.ts';

/** How long a UID is taken for true, in milliseconds: an owner that was made anew takes its children with it. */
const trustMs = 10_000;

/**
 * Gives the owner reference of route Secrets: the chart's object, so that uninstalling removes them. Rejects with a
 * `UserError` while that object does not exist.
 */
export function routeOwner(
  cluster: Pick<Cluster, 'get'>,
  { routeOwner: { apiVersion, kind, plural, name }, namespace }: Pick<OperatorConfig, 'routeOwner' | 'namespace'>,
): () => Promise<OwnerReference> {
  let looking: Promise<OwnerReference> | undefined;
  let lookedAt = Number.NEGATIVE_INFINITY;
  return () => {
    if (looking && performance.now() - lookedAt < trustMs) return looking;
    lookedAt = performance.now();
    looking = look();
    looking.catch(() => {
      looking = undefined;
    });
    return looking;
  };

  async function look(): Promise<OwnerReference> {
    try {
      const { metadata } = await cluster.get<KubeObject>(
        { apiVersion, kind, plural, namespaced: true },
        name,
        namespace,
      );
      return { apiVersion, kind, name, uid: metadata.uid ?? '' };
    } catch (error) {
      if (!isKubeError(error, 'NotFound')) throw error;
      throw new UserError(
        'RouteOwnerNotFound',
        `routeOwner: ${kind} ${name} does not exist in namespace ${namespace}; name an object of the chart there`,
      );
    }
  }
}
