import { createHash } from 'node:crypto';
import type { RoutingPolicy } from '../../../crds/v1alpha1/kinds.ts';
import type { Priority } from '../../../crds/v1alpha1/queue.ts';
import type { SecretView } from '../../context.ts';
import type { Problem } from './reasons.ts';
import { secretValue } from './secret-value.ts';

/** Shorter client keys are refused, so that their hashes can't be searched for them. */
const minKeyLength = 32;

/** What a policy's client keys come to. */
export interface ClientKeys {
  /** Those that are in order; of two entries with one key, the first. */
  keys: { name: string; sha256: string; priority?: Priority }[];
  problems: Problem[];
  /** Some Secrets have not been read yet. */
  waiting: boolean;
}

/** Resolves the keys of `spec.access`. None for an open policy. */
export function clientKeys(policy: RoutingPolicy, secret: (name: string) => SecretView): ClientKeys {
  const { namespace } = policy.metadata;
  const result: ClientKeys = { keys: [], problems: [], waiting: false };
  const seen = new Set<string>();
  for (const { name, secretRef, priority } of policy.spec.access.keys ?? []) {
    const field = `spec.access.keys[${name}].secretRef`;
    const found = secretValue(secret(secretRef.name), { field, namespace, name: secretRef.name, key: secretRef.key });
    if (found.state === 'Waiting') result.waiting = true;
    else if (found.state === 'Wrong') result.problems.push(found.problem);
    else if (found.value.length < minKeyLength) {
      result.problems.push({
        reason: 'WeakKey',
        message: `${field}: key ${secretRef.key} of Secret ${secretRef.name} has ${found.value.length} characters; use at least ${minKeyLength}`,
      });
    } else {
      const sha256 = createHash('sha256').update(found.value).digest('hex');
      if (!seen.has(sha256)) result.keys.push({ name, sha256, ...(priority && { priority }) });
      seen.add(sha256);
    }
  }
  return result;
}
