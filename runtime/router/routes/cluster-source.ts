import { modelLabel, routeLabel } from '../../../crds/names.ts';
import { Reflector } from '../../../kube/reflector.ts';
import { resources } from '../../../kube/resources.ts';
import type { Cluster } from '../../../kube/types.ts';
import { byModel, type EndpointSlice, EndpointSource, modelOf } from './endpoint-source.ts';
import type { RouteSecret } from './route-source.ts';
import type { TableSource, Tables } from './table-source.ts';

/** A server that comes back refuses for a while what it knew before: also then it is asked often, as traffic waits for it. */
const timing = { refusedMs: 3_000 };

/** Routes from the route Secrets of this namespace, endpoints from the EndpointSlices of models in all namespaces. */
export function clusterSource(cluster: Cluster, namespace: string, tables: Tables): TableSource {
  const { routes, endpoints, upstreams, metrics, registry, log } = tables;
  const secrets = new Reflector<RouteSecret>({
    cluster,
    resource: resources.secrets,
    namespaces: [namespace],
    labelSelector: `${routeLabel}=true`,
    timing,
    log,
    registry,
  });
  const slices = new Reflector<EndpointSlice>({
    cluster,
    resource: resources.endpointSlices,
    labelSelector: modelLabel,
    timing,
    indexers: { [byModel]: modelOf },
    log,
    registry,
  });
  const source = new EndpointSource({ slices: slices.store, table: endpoints, upstreams, metrics });
  secrets.onChange((change) => routes.change(change));
  slices.onChange((change) => source.change(change));
  return {
    async start() {
      secrets.start();
      slices.start();
      await Promise.all([secrets.synced(), slices.synced()]);
      routes.flush();
      source.flush();
    },
    missing() {
      if (!secrets.hasSynced) return `route Secrets of namespace ${namespace} not read yet`;
      return slices.hasSynced ? undefined : 'EndpointSlices not read yet';
    },
    async stop() {
      await Promise.all([secrets.stop(), slices.stop()]);
    },
  };
}
