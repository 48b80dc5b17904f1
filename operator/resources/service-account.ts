import type { SpecializedModel } from '../../crds/v1alpha1/kinds.ts';
import type { ServiceAccount } from '../context.ts';
import { childMetadata } from './child.ts';

/** The identity of a model's pods: its own, with no rights and no token. */
export function serviceAccount(model: SpecializedModel): ServiceAccount {
  return {
    apiVersion: 'v1',
    kind: 'ServiceAccount',
    metadata: childMetadata(model),
    automountServiceAccountToken: false,
  };
}
