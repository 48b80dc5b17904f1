import type { Registry } from 'prom-client';
import type { Logger } from '../../../process/logger.ts';
import type { RouterMetrics } from '../metrics.ts';
import type { Upstreams } from '../providers/upstreams.ts';
import type { EndpointTable } from './endpoint-table.ts';
import type { RouteSource } from './route-source.ts';
import type { DatedRoute } from './table.ts';

/** Where the router's routes and endpoints come from: the API server (`clusterSource`), or files. */
export interface TableSource {
  /** Fills the tables and begins to keep them up to date. Resolves when the first ones are complete. */
  start(): Promise<void>;
  /** Why no request can be answered yet, for `/readyz`. */
  missing(): string | undefined;
  stop(): Promise<void>;
}

/** What a source fills. */
export interface Tables {
  routes: RouteSource;
  endpoints: EndpointTable;
  upstreams: Upstreams;
  metrics: RouterMetrics;
  registry: Registry;
  log: Logger;
}

/** Routes and endpoints that are known as a whole. */
export interface GivenTables {
  routes: readonly DatedRoute[];
  /** Origins that answer for a model, by `namespace/model`. */
  endpoints: ReadonlyMap<string, readonly string[]>;
}

/** Puts given tables in the place of those that there are. Requests in flight keep theirs. */
export function replaceTables({ routes, endpoints, upstreams, metrics }: Tables, given: GivenTables): void {
  const origins = new Set([...given.endpoints.values()].flat());
  const models = [...given.endpoints].map(
    ([model, own]) => [model, own.map((origin) => upstreams.engine(origin))] as const,
  );
  endpoints.replace(new Map(models));
  upstreams.retainEngines(origins);
  metrics.endpoints.set(origins.size);
  routes.replace(given.routes);
}
