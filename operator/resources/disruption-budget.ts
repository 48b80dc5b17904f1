import type { SpecializedModel } from '../../crds/v1alpha1/kinds.ts';
import type { PodDisruptionBudget } from '../context.ts';
import { childMetadata, modelSelector } from './child.ts';

/** Nodes are drained one replica at a time; a replica that does not serve never holds a drain up. */
export function podDisruptionBudget(model: SpecializedModel): PodDisruptionBudget {
  return {
    apiVersion: 'policy/v1',
    kind: 'PodDisruptionBudget',
    metadata: childMetadata(model),
    spec: {
      maxUnavailable: 1,
      unhealthyPodEvictionPolicy: 'AlwaysAllow',
      selector: { matchLabels: modelSelector(model.metadata.name) },
    },
  };
}
