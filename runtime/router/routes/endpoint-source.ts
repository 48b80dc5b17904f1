import { isIPv6 } from 'node:net';
import type { V1EndpointSlice } from '@kubernetes/client-node';
import { enginePortName, modelLabel } from '../../../crds/names.ts';
import type { Change, Json, KubeObject, Store } from '../../../kube/types.ts';
import type { RouterMetrics } from '../metrics.ts';
import type { Upstreams } from '../providers/upstreams.ts';
import type { EndpointTable } from './endpoint-table.ts';

/** discovery.k8s.io/v1 EndpointSlice, on the wire. */
export type EndpointSlice = Json<V1EndpointSlice> & KubeObject;

/** discovery.k8s.io/v1: which Service a slice is of. */
export const serviceNameLabel = 'kubernetes.io/service-name';

/**
 * `namespace/model` of a slice; the index that the source reads. Slices inherit the labels of their Service, and so do
 * those of any Service that copied them (`kubectl expose` does): only the model's own Service, named as it is, counts.
 */
export function modelOf({ metadata: { labels, namespace } }: EndpointSlice): readonly string[] {
  const model = labels?.[modelLabel];
  return model === undefined || namespace === undefined || labels?.[serviceNameLabel] !== model
    ? []
    : [`${namespace}/${model}`];
}

/** Name of the index of slices by `modelOf`. */
export const byModel = 'model';

export interface EndpointSourceOptions {
  /** Slices of all namespaces that carry `cadre.dev/model`, indexed by `byModel`. */
  slices: Store<EndpointSlice>;
  table: EndpointTable;
  upstreams: Upstreams;
  metrics: Pick<RouterMetrics, 'endpoints'>;
}

/** Keeps the endpoint table as the slices say. Changes that arrive together make one new table. */
export class EndpointSource {
  readonly #options: EndpointSourceOptions;
  readonly #origins = new Map<string, readonly string[]>();
  readonly #changed = new Set<string>();

  constructor(options: EndpointSourceOptions) {
    this.#options = options;
  }

  /** Takes a change of a slice. */
  change({ before, after }: Change<EndpointSlice>): void {
    if (this.#changed.size === 0) setImmediate(() => this.flush());
    for (const slice of [before, after]) if (slice) for (const model of modelOf(slice)) this.#changed.add(model);
  }

  /** Makes the new table now. */
  flush(): void {
    const { slices, table, upstreams, metrics } = this.#options;
    for (const model of this.#changed) {
      const origins = readyOrigins(slices.byIndex(byModel, model));
      if (origins.length > 0) this.#origins.set(model, origins);
      else this.#origins.delete(model);
    }
    this.#changed.clear();
    const all = new Set([...this.#origins.values()].flat());
    table.replace(new Map([...this.#origins].map(([model, own]) => [model, own.map((one) => upstreams.engine(one))])));
    // An endpoint that is not ready any more ends what it began: its connections close when they are idle.
    upstreams.retainEngines(all);
    metrics.endpoints.set(all.size);
  }
}

/** Origins that may get new requests: ready and not about to end. A pod with two addresses counts once, by its IPv4. */
export function readyOrigins(slices: readonly EndpointSlice[]): string[] {
  const byPod = new Map<string, string>();
  for (const slice of [...slices].sort((a, b) => (a.addressType < b.addressType ? -1 : 1))) {
    if (slice.addressType !== 'IPv4' && slice.addressType !== 'IPv6') continue;
    const port = enginePort(slice);
    if (port === undefined) continue;
    for (const { addresses, conditions, targetRef } of slice.endpoints ?? []) {
      const address = addresses[0];
      // Absent means ready: the API's documented reading of an unknown state.
      if (address === undefined || conditions?.ready === false || conditions?.terminating === true) continue;
      const origin = `http://${isIPv6(address) ? `[${address}]` : address}:${port}`;
      const pod = targetRef?.uid ?? origin;
      if (!byPod.has(pod)) byPod.set(pod, origin);
    }
  }
  return [...new Set(byPod.values())].sort();
}

function enginePort({ ports }: EndpointSlice): number | undefined {
  const named = ports?.find(({ name }) => name === enginePortName);
  return (named ?? (ports?.length === 1 ? ports[0] : undefined))?.port;
}
