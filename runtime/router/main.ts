import { readFileSync } from 'node:fs';
import type { Server } from 'node:http';
import { rootCertificates } from 'node:tls';
import { addressCheck } from '../../crds/addresses.ts';
import { connect } from '../../kube/connect.ts';
import type { Cluster } from '../../kube/types.ts';
import pkg from '../../package.json' with { type: 'json' };
import { readConfig } from '../../process/config.ts';
import { errorMessage, UserError } from '../../process/errors.ts';
import type { Logger } from '../../process/logger.ts';
import { createRegistry } from '../../process/metrics.ts';
import { listen, type Probes, serveProbes } from '../../process/probes.ts';
import { aborted } from '../../process/shutdown.ts';
import { type RouterConfig, type RouterConfigInput, routerConfigSchema } from './config.ts';
import { connectionsOf, drain } from './drain.ts';
import { createRouterMetrics } from './metrics.ts';
import { Gates } from './pipeline/admission.ts';
import type { RouterContext } from './pipeline/exchange.ts';
import { Limits } from './pipeline/limits.ts';
import { RateBudgets } from './pipeline/rate-budget.ts';
import { guardedConnector, type Resolve } from './providers/guarded-connect.ts';
import { Upstreams } from './providers/upstreams.ts';
import { clusterSource } from './routes/cluster-source.ts';
import { EndpointTable } from './routes/endpoint-table.ts';
import { replicasReflector } from './routes/replicas.ts';
import { RouteSource } from './routes/route-source.ts';
import type { RouteTable } from './routes/table.ts';
import type { TableSource, Tables } from './routes/table-source.ts';
import { createRouterServer } from './server.ts';
import { loadTracing } from './tracing/load.ts';

export interface RouterOptions {
  /** Exactly one of the two. */
  configFile?: string | undefined;
  config?: RouterConfigInput | undefined;
  /** Where clients come; 0 takes a free one. */
  port: number;
  /** Default: every address. */
  host?: string | undefined;
  /** Where `/healthz`, `/readyz` and `/metrics` are; on the clients' port when absent. */
  probePort?: number | undefined;
  /** A kubeconfig file, for use outside of a cluster. */
  kubeconfig?: string | undefined;
  log: Logger;
  /** Ends the router: it drains, then `runRouter` resolves. */
  signal: AbortSignal;
  /** Called when it listens, with the ports that it has. */
  onListening?: ((ports: { port: number; probePort: number | undefined }) => void) | undefined;
  /** The API server; by default that of the kubeconfig or of the cluster that this runs in. */
  cluster?: Cluster | undefined;
  /** Where routes and endpoints come from; by default the API server. */
  source?: ((tables: Tables) => TableSource) | undefined;
  /** The flag to name when the clients' port can't be had; default: `--port`. */
  portSetting?: string | undefined;
  /** How names of providers are resolved; `dns.lookup` by default. */
  resolve?: Resolve | undefined;
}

/** Runs the router until `signal` aborts and the last request is answered. Rejects with a `UserError` for what a person can cure. */
export async function runRouter(options: RouterOptions): Promise<void> {
  const { log, signal } = options;
  const config = configOf(options);
  const registry = createRegistry();
  const metrics = createRouterMetrics(registry);
  const kubeconfig = options.kubeconfig === undefined ? undefined : { path: options.kubeconfig };
  const userAgent = `cadre-router/${pkg.version}`;
  const given = options.cluster ?? options.source;
  const client = given ? undefined : await connect({ kubeconfig, registry, userAgent });

  const upstreams = new Upstreams(providerConnector(config, options.resolve));
  const budgets = new RateBudgets();
  const limits = new Limits();
  const gates = new Gates();
  const hedges = new RateBudgets();
  const routes = new RouteSource({
    log,
    metrics,
    onTable: (table) => {
      upstreams.retainProviders(providerOrigins(table));
      metrics.retain(new Set(table.routes.map(({ longName }) => longName)));
      const uids = new Set(table.routes.map(({ route }) => route.policy.uid));
      budgets.retain(uids);
      hedges.retain(uids);
      gates.retain(uids);
      limits.retain(table);
    },
  });
  const endpoints = new EndpointTable();
  const tracing = await loadTracing(config, process.env, log);
  const context: RouterContext = {
    config,
    log,
    metrics,
    routes,
    endpoints,
    upstreams,
    budgets,
    tracing,
    limits,
    gates,
    hedges,
    random: Math.random,
    draining: false,
  };

  const tables: Tables = { routes, endpoints, upstreams, metrics, registry, log };
  const cluster = options.cluster ?? client;
  const source = options.source
    ? options.source(tables)
    : clusterSource(cluster as NonNullable<typeof cluster>, config.namespace, tables);
  const replicas =
    cluster &&
    replicasReflector({
      cluster,
      namespace: config.namespace,
      service: config.service,
      onCount: (count) => (limits.replicas = count),
      log,
      registry,
    });

  const probes: Probes = {
    registry,
    healthy: () => undefined,
    ready: () => {
      if (context.draining) return 'draining';
      return source.missing();
    },
  };
  const apart = options.probePort !== undefined;
  const server = createRouterServer(context, apart ? undefined : probes);
  const connections = connectionsOf(server);
  const host = options.host ?? '::';
  let probeServer: Server | undefined;
  try {
    if (apart) probeServer = await serveProbes(probes, { host, port: options.probePort ?? 0, setting: '--probe-port' });
    replicas?.start();
    // Who comes before the first table is there would be told that no key is known: the port opens after it.
    await Promise.race([Promise.all([source.start(), replicas?.synced()]), aborted(signal)]);
    if (!signal.aborted) {
      const port = await listen(server, { host, port: options.port, setting: options.portSetting ?? '--port' });
      log.info({ port, routes: routes.table.routes.length }, 'serving');
      options.onListening?.({ port, probePort: portOf(probeServer) });
      await aborted(signal);
      await drain({ server, connections, context, config: config.drain, log });
    }
  } finally {
    await Promise.all([source.stop(), replicas?.stop(), upstreams.destroy()]);
    probeServer?.close();
    probeServer?.closeAllConnections();
    await tracing?.shutdown();
    await client?.close();
    log.info('stopped');
  }
}

function configOf({ configFile, config }: RouterOptions): RouterConfig {
  if (configFile !== undefined) return readConfig(routerConfigSchema, configFile);
  return routerConfigSchema.parse(config);
}

function providerConnector({ providers }: RouterConfig, resolve: Resolve | undefined) {
  return guardedConnector({
    check: addressCheck(providers),
    ca: providers.caFile === undefined ? undefined : [...rootCertificates, readCa(providers.caFile)],
    connectTimeoutMs: providers.connectTimeoutSeconds * 1000,
    ...(resolve && { resolve }),
  });
}

function readCa(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new UserError('InvalidConfig', `providers.caFile ${file}: ${errorMessage(error)}`);
  }
}

function providerOrigins({ routes }: RouteTable): Set<string> {
  const backends = routes.flatMap(({ route }) => route.backends);
  return new Set(backends.flatMap((backend) => (backend.kind === 'Provider' ? new URL(backend.baseUrl).origin : [])));
}

function portOf(server: Server | undefined): number | undefined {
  const address = server?.address();
  return typeof address === 'object' && address !== null ? address.port : undefined;
}
