import type { V1NetworkPolicyPeer } from '@kubernetes/client-node';
import { enginePort, sidecarPort } from '../../crds/names.ts';
import type { SpecializedModel } from '../../crds/v1alpha1/kinds.ts';
import type { Json } from '../../kube/types.ts';
import type { OperatorConfig } from '../config.ts';
import type { NetworkPolicy } from '../context.ts';
import { childMetadata, modelSelector } from './child.ts';

/**
 * Who may reach a model's pods: the router the engine; the operator, and whoever scrapes metrics, the sidecar. Engines
 * have no keys of their own, and vLLM would answer some paths without one.
 *
 * Ingress only: a policy is for a pod, not for a container, so closing the engine's way out would also close the loader's.
 */
export function networkPolicy(
  model: SpecializedModel,
  config: Pick<OperatorConfig, 'namespace' | 'routerSelector' | 'operatorSelector' | 'monitoring'>,
): NetworkPolicy {
  const ours = (labels: Record<string, string>): Json<V1NetworkPolicyPeer> => ({
    namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': config.namespace } },
    podSelector: { matchLabels: labels },
  });
  const scrapers = config.monitoring.from as Json<V1NetworkPolicyPeer>[];
  return {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: childMetadata(model),
    spec: {
      podSelector: { matchLabels: modelSelector(model.metadata.name) },
      policyTypes: ['Ingress'],
      ingress: [
        { from: [ours(config.routerSelector)], ports: [{ port: enginePort, protocol: 'TCP' }] },
        { from: [ours(config.operatorSelector), ...scrapers], ports: [{ port: sidecarPort, protocol: 'TCP' }] },
      ],
    },
  };
}
