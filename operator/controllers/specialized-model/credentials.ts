import { parseModelUri } from '../../../crds/model-uri.ts';
import { hostsAnnotation } from '../../../crds/names.ts';
import type { SourceField } from '../../../crds/v1alpha1/model-source.ts';
import type { SpecializedModelSpec } from '../../../crds/v1alpha1/specialized-model.ts';
import type { SecretView } from '../../context.ts';
import { isSharedWith } from '../../shared-hosts.ts';
import type { Problem } from './reasons.ts';

type Credentials = NonNullable<SpecializedModelSpec['model']['credentials']>;

/**
 * Whether the loader may get the Secret of the credentials of a model or its adapter: it is there, has the key, and its owner meant it for
 * the host. With the hub nothing is needed: the operator's configuration says which host that is. Undefined when all is
 * well, `Waiting` while nobody has read it yet.
 */
export function credentialsProblem(
  source: SourceField,
  uri: string,
  { name, key }: Credentials,
  view: SecretView,
): Problem | 'Waiting' | undefined {
  const field = `spec.${source}.credentials`;
  if (view.state === 'Unknown') {
    if (view.problem === undefined) return 'Waiting';
    return { reason: 'SecretUnreadable', message: `${field}: Secret ${name} could not be read: ${view.problem}` };
  }
  if (view.state === 'Missing') {
    return { reason: 'SecretNotFound', message: `${field}: Secret ${name} does not exist in the namespace; create it` };
  }
  const { data, metadata } = view.secret;
  if (!data?.[key]) {
    return { reason: 'SecretNotFound', message: `${field}: Secret ${name} has no key ${key}; add it or name another` };
  }
  const from = parseModelUri(uri);
  if (from.scheme !== 'https' || isSharedWith(metadata, new URL(from.url))) return undefined;
  return {
    reason: 'SecretNotShared',
    message: `${field}: Secret ${name} may not be sent to ${from.host}; if it was meant for it, annotate it with ${hostsAnnotation}: ${from.host}`,
  };
}
