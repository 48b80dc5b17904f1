/** Where the operator runs in tests and benchmarks: its Lease is there, and the routes that it compiles. */
export const systemNamespace = 'cadre-system';

/** The configuration of an operator, as the chart would write it, with names of images that are never run. */
export const operatorConfiguration = {
  image: 'localhost/cadre:test',
  namespace: systemNamespace,
  routerSelector: { 'app.kubernetes.io/component': 'router' },
  operatorSelector: { 'app.kubernetes.io/component': 'operator' },
  routeOwner: { apiVersion: 'v1', kind: 'ConfigMap', plural: 'configmaps', name: 'routes' },
  engines: { VLLM: { image: 'localhost/vllm:test' }, LlamaCpp: { image: 'localhost/llama-server:test' } },
};
