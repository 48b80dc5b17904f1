import { createHash } from 'node:crypto';
import type { Server } from 'node:http';
import { PassThrough } from 'node:stream';
import { type Dispatcher, Pool } from 'undici';
import { addressCheck } from '../../../crds/addresses.ts';
import { type ModelBackend, type ProviderBackend, type Route, routeSchema } from '../../../crds/route-table.ts';
import { createLogger } from '../../../process/logger.ts';
import { createRegistry } from '../../../process/metrics.ts';
import { listen, type Probes } from '../../../process/probes.ts';
import { type RouterConfigInput, routerConfigSchema } from '../config.ts';
import { createRouterMetrics } from '../metrics.ts';
import { Gates } from '../pipeline/admission.ts';
import type { RouterContext } from '../pipeline/exchange.ts';
import { Limits } from '../pipeline/limits.ts';
import { RateBudgets } from '../pipeline/rate-budget.ts';
import { guardedConnector, type Resolve } from '../providers/guarded-connect.ts';
import { Upstreams } from '../providers/upstreams.ts';
import { EndpointTable } from '../routes/endpoint-table.ts';
import { buildTable, type RouteTable } from '../routes/table.ts';
import { createRouterServer } from '../server.ts';
import type { Tracing } from '../tracing/tracing.ts';

/** The key that test routes know. */
export const clientKey = 'sk-test-0123456789abcdef0123456789abcdef';

export function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

export function aModel(name: string, over: Partial<ModelBackend> = {}): ModelBackend {
  const defaults = { engine: 'VLLM', task: 'Generation', servedModel: 'served' } as const;
  return { name, kind: 'Model', namespace: 'support', model: name, ...defaults, ...over };
}

export function aProvider(name: string, baseUrl: string, over: Partial<ProviderBackend> = {}): ProviderBackend {
  return { name, kind: 'Provider', dialect: 'OpenAI', baseUrl, servedModel: 'gpt', apiKey: 'provider-key', ...over };
}

/** A route named `support/triage` whose first backend gets everything, the others being there to fall back to. */
export function aRoute(backends: Route['backends'], over: Partial<Route> = {}): Route {
  return routeSchema.parse({
    version: 1,
    policy: { namespace: 'support', name: 'triage', uid: 'u1', generation: 1 },
    model: 'triage',
    access: { mode: 'Keys', keys: [{ name: 'web', sha256: sha256(clientKey) }] },
    backends,
    split: backends.slice(0, 1).map(({ name }) => ({ backend: name, weight: 1 })),
    fallback: backends.slice(1).map(({ name }) => name),
    output: {},
    // Beyond what a crowded machine needs: tests of timeouts have their own.
    timeouts: { firstByteMs: 60_000, idleMs: 60_000, totalMs: 120_000 },
    ...over,
  });
}

export interface TestRouterOptions {
  routes: readonly Route[];
  /** Origins by model (of the namespace `support`). */
  endpoints?: Readonly<Record<string, readonly string[]>>;
  config?: Omit<RouterConfigInput, 'namespace'>;
  resolve?: Resolve;
  ca?: readonly string[];
  tracing?: Tracing;
}

/** A router whose table and endpoints a test sets by hand. */
export interface TestRouter extends AsyncDisposable {
  origin: string;
  context: RouterContext;
  server: Server;
  /** Everything logged, JSON lines. */
  logged(): string;
  setRoutes(routes: readonly Route[]): void;
  setEndpoints(endpoints: Readonly<Record<string, readonly string[]>>): void;
  /** The sum of a metric's values over the series with these labels. */
  metric(name: string, labels?: Record<string, string>): Promise<number>;
  /** POST with the test key; a string is sent as it is. */
  post(path: string, body: unknown, headers?: Record<string, string>): Promise<Reply>;
  get(path: string, headers?: Record<string, string>): Promise<Reply>;
}

export interface Reply {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  text: string;
  /** The body, parsed. */
  json: any; // oxlint-disable-line typescript/no-explicit-any -- answers are looked into freely by tests
}

export async function startRouter(options: TestRouterOptions): Promise<TestRouter> {
  const registry = createRegistry();
  const output = new PassThrough();
  const lines: string[] = [];
  output.on('data', (chunk: Buffer) => lines.push(chunk.toString()));
  const config = routerConfigSchema.parse({ namespace: 'cadre', accessLog: { sample: 1 }, ...options.config });
  const connector = guardedConnector({
    check: addressCheck(config.providers),
    ca: options.ca,
    connectTimeoutMs: 2_000,
    ...(options.resolve && { resolve: options.resolve }),
  });
  const upstreams = new Upstreams(connector);
  const endpoints = new EndpointTable();
  const routes: { table: RouteTable } = { table: buildTable([]) };
  const context: RouterContext = {
    config,
    log: createLogger('router', 'debug', output),
    metrics: createRouterMetrics(registry),
    routes,
    endpoints,
    upstreams,
    budgets: new RateBudgets(),
    tracing: options.tracing,
    limits: new Limits(),
    gates: new Gates(),
    hedges: new RateBudgets(),
    random: Math.random,
    draining: false,
  };
  const probes: Probes = {
    registry,
    healthy: () => undefined,
    ready: () => (context.draining ? 'draining' : undefined),
  };
  const server = createRouterServer(context, probes);
  const port = await listen(server, { host: '127.0.0.1', port: 0, setting: 'port' });
  const origin = `http://127.0.0.1:${port}`;
  const client = new Pool(origin);

  const send = async (method: Dispatcher.HttpMethod, path: string, headers: object, body?: string): Promise<Reply> => {
    const answer = await client.request({
      method,
      path,
      headers: { authorization: `Bearer ${clientKey}`, ...headers },
      ...(body !== undefined && { body }),
    });
    const text = await answer.body.text();
    return {
      status: answer.statusCode,
      headers: answer.headers,
      text,
      get json() {
        return JSON.parse(text);
      },
    };
  };
  const router: TestRouter = {
    origin,
    context,
    server,
    logged: () => lines.join(''),
    setRoutes(all) {
      routes.table = buildTable(all.map((route) => ({ route, created: 1_760_000_000 })));
    },
    setEndpoints(all) {
      const models = Object.entries(all).map(
        ([model, origins]) => [`support/${model}`, origins.map((one) => upstreams.engine(one))] as const,
      );
      endpoints.replace(new Map(models));
      upstreams.retainEngines(new Set(Object.values(all).flat()));
    },
    async metric(name, labels = {}) {
      const found = await registry.getSingleMetric(name)?.get();
      if (!found) throw new Error(`no metric ${name}`);
      const matching = found.values.filter((one) =>
        Object.entries(labels).every(([key, value]) => (one.labels as Record<string, unknown>)[key] === value),
      );
      return matching.reduce((sum, { value }) => sum + value, 0);
    },
    post: (path, body, headers = {}) =>
      send(
        'POST',
        path,
        { 'content-type': 'application/json', ...headers },
        typeof body === 'string' ? body : JSON.stringify(body),
      ),
    get: (path, headers = {}) => send('GET', path, headers),
    async [Symbol.asyncDispose]() {
      await client.destroy();
      await upstreams.destroy();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  router.setRoutes(options.routes);
  router.setEndpoints(options.endpoints ?? {});
  return router;
}
