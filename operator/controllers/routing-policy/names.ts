import type { RoutingPolicy } from '../../../crds/v1alpha1/kinds.ts';
import { keyOf } from '../../../kube/types.ts';

/** The model name that clients send. */
export function shortNameOf(policy: RoutingPolicy): string {
  return policy.spec.model ?? policy.metadata.name;
}

/**
 * Which of two policies keeps a short name that both would answer to: the older one; of two made in the same second, that
 * with the lesser UID, so that all agree.
 */
export function isOlder(a: RoutingPolicy, b: RoutingPolicy): boolean {
  const [madeA, madeB] = [a.metadata.creationTimestamp ?? '', b.metadata.creationTimestamp ?? ''];
  return madeA === madeB ? a.metadata.uid < b.metadata.uid : madeA < madeB;
}

/** For whom a short name is taken by an older policy. */
export interface TakenNames {
  /** Policies (`namespace/name`) by the SHA-256 of the client key for which they hold the name. */
  byKey: Map<string, string>;
  /** The open policy that holds the name for callers without key. */
  open?: string;
  /** Some of their Secrets have not been read yet. */
  waiting: boolean;
}

/** Another policy with the same short name, and whom it admits. */
export interface Namesake {
  policy: RoutingPolicy;
  keys: readonly { sha256: string }[];
  waiting: boolean;
  /** It is open, and the configuration grants it its short name. */
  open: boolean;
}

/** Finds out what of a policy's short name the older policies of that name have taken. */
export function takenNames(policy: RoutingPolicy, namesakes: readonly Namesake[]): TakenNames {
  const older = namesakes
    .filter((other) => other.policy.metadata.uid !== policy.metadata.uid && isOlder(other.policy, policy))
    .sort((a, b) => (isOlder(a.policy, b.policy) ? -1 : 1));
  const taken: TakenNames = { byKey: new Map(), waiting: older.some((other) => other.waiting) };
  for (const other of older) {
    const name = keyOf(other.policy);
    for (const { sha256 } of other.keys) if (!taken.byKey.has(sha256)) taken.byKey.set(sha256, name);
    if (other.open) taken.open ??= name;
  }
  return taken;
}
