import type { SecretView } from '../../context.ts';
import type { Problem } from './reasons.ts';

/** A value that a policy takes from a Secret: still unknown, wrong, or there. */
export type SecretValue =
  | { state: 'Waiting' }
  | { state: 'Wrong'; problem: Problem }
  | { state: 'Found'; value: string };

/** Where the policy names the Secret, for messages. */
export interface SecretUse {
  /** Path of the field, e.g. `spec.access.keys[web].secretRef`. */
  field: string;
  namespace: string;
  name: string;
  key: string;
}

/** What an Authorization header can carry: printable ASCII without blanks. */
const headerValue = /^[\x21-\x7e]+$/;

/**
 * Reads one key of a Secret. One line break at its end is not part of it: files written by editors and `echo` have one,
 * and no HTTP header can.
 */
export function secretValue(view: SecretView, use: SecretUse): SecretValue {
  const { field, namespace, name, key } = use;
  const wrong = (reason: Problem['reason'], message: string): SecretValue => ({
    state: 'Wrong',
    problem: { reason, message: `${field}: ${message}` },
  });
  if (view.state === 'Unknown') {
    if (view.problem === undefined) return { state: 'Waiting' };
    return wrong('SecretUnreadable', `Secret ${namespace}/${name} could not be read: ${view.problem}`);
  }
  if (view.state === 'Missing') {
    return wrong('SecretNotFound', `Secret ${name} does not exist in namespace ${namespace}; create it`);
  }
  const encoded = view.secret.data?.[key];
  if (encoded === undefined) return wrong('SecretKeyNotFound', `Secret ${name} has no key ${key}; add it`);
  const value = Buffer.from(encoded, 'base64')
    .toString('utf8')
    .replace(/\r?\n$/, '');
  if (value === '') return wrong('SecretKeyNotFound', `key ${key} of Secret ${name} is empty; fill it`);
  if (!headerValue.test(value)) {
    return wrong(
      'InvalidKey',
      `key ${key} of Secret ${name} has characters that a header cannot carry; use printable ASCII without blanks`,
    );
  }
  return { state: 'Found', value };
}
