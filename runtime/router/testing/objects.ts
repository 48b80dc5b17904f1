import { modelLabel, routeDataKey, routeLabel, routeSecretType } from '../../../crds/names.ts';
import type { Route } from '../../../crds/route-table.ts';
import type { EndpointSlice } from '../routes/endpoint-source.ts';
import type { RouteSecret } from '../routes/route-source.ts';

/** A route Secret as the operator writes it. */
export function routeSecret(name: string, route: Route, resourceVersion: number): RouteSecret {
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: {
      name,
      namespace: 'cadre',
      uid: `uid-${name}`,
      resourceVersion: String(resourceVersion),
      creationTimestamp: '2026-07-01T00:00:00Z',
      labels: { [routeLabel]: 'true' },
    },
    type: routeSecretType,
    data: { [routeDataKey]: Buffer.from(JSON.stringify(route)).toString('base64') },
  };
}

/** A slice of a model's Service in the namespace `support`, with one endpoint on loopback. */
export function endpointSlice(
  name: string,
  model: string,
  port: number,
  resourceVersion: number,
  conditions: { ready?: boolean; terminating?: boolean } = { ready: true },
): EndpointSlice {
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: {
      name,
      namespace: 'support',
      uid: `uid-${name}`,
      resourceVersion: String(resourceVersion),
      labels: { [modelLabel]: model, 'kubernetes.io/service-name': model },
    },
    addressType: 'IPv4',
    endpoints: [{ addresses: ['127.0.0.1'], conditions, targetRef: { kind: 'Pod', name, uid: `pod-${name}` } }],
    ports: [{ name: 'http', port, protocol: 'TCP' }],
  };
}
