import type { Registry } from 'prom-client';
import { Reflector } from '../../../kube/reflector.ts';
import { resources } from '../../../kube/resources.ts';
import type { Cluster } from '../../../kube/types.ts';
import type { Logger } from '../../../process/logger.ts';
import { type EndpointSlice, readyOrigins, serviceNameLabel } from './endpoint-source.ts';

export interface ReplicasOptions {
  cluster: Cluster;
  namespace: string;
  /** Name of the router's own Service; undefined: this router is alone. */
  service: string | undefined;
  /** Called whenever the endpoints of the Service have changed. */
  onCount: (replicas: number) => void;
  log: Logger;
  registry: Registry;
}

/** Counts the router's replicas by the endpoints of its own Service. Not yet started; undefined where there is none. */
export function replicasReflector(options: ReplicasOptions): Reflector<EndpointSlice> | undefined {
  const { cluster, namespace, service, onCount, log, registry } = options;
  if (service === undefined) return undefined;
  const slices = new Reflector<EndpointSlice>({
    cluster,
    resource: resources.endpointSlices,
    namespaces: [namespace],
    labelSelector: `${serviceNameLabel}=${service}`,
    timing: { refusedMs: 3_000 },
    log,
    registry,
  });
  slices.onChange(() => onCount(replicasIn([...slices.store.list()])));
  return slices;
}

/** This replica counts before it is ready: it serves when the first request comes. */
export function replicasIn(slices: readonly EndpointSlice[]): number {
  return Math.max(readyOrigins(slices).length, 1);
}
