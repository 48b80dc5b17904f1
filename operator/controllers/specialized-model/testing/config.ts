import { type OperatorConfig, operatorConfigSchema } from '../../../config.ts';

/** A configuration as the chart writes one, with one GPU profile. */
export const testConfig: OperatorConfig = operatorConfigSchema.parse({
  image: 'registry.example.com/cadre:v1',
  namespace: 'cadre-system',
  routerSelector: { 'app.kubernetes.io/name': 'cadre', 'app.kubernetes.io/component': 'router' },
  operatorSelector: { 'app.kubernetes.io/name': 'cadre', 'app.kubernetes.io/component': 'operator' },
  routeOwner: { apiVersion: 'v1', kind: 'ConfigMap', plural: 'configmaps', name: 'cadre' },
  engines: {
    VLLM: { image: 'registry.example.com/vllm:v0.32.0' },
    LlamaCpp: { image: 'registry.example.com/llama.cpp:server' },
  },
  gpuProfiles: {
    'nvidia-l4': {
      resourceName: 'nvidia.com/gpu',
      nodeSelector: { 'nvidia.com/gpu.product': 'NVIDIA-L4' },
      tolerations: [{ key: 'nvidia.com/gpu', operator: 'Exists', effect: 'NoSchedule' }],
      runtimeClassName: 'nvidia',
    },
  },
  monitoring: { from: [{ namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'monitoring' } } }] },
});
