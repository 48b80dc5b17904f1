import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { Agent as HttpAgent, request as httpRequest, type IncomingMessage } from 'node:http';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { afterEach, describe, expect, it } from 'vitest';
import type { Route } from '../../crds/route-table.ts';
import { KubeClient } from '../../kube/client.ts';
import { silent } from '../../kube/testing/objects.ts';
import { type Asked, type Reply, scriptedServer } from '../../kube/testing/scripted-server.ts';
import { createLogger, type Logger } from '../../process/logger.ts';
import { eventually, until } from '../../process/testing/waiting.ts';
import type { RouterConfigInput } from './config.ts';
import { runRouter } from './main.ts';
import type { EndpointSlice } from './routes/endpoint-source.ts';
import { vllmChat, vllmStream } from './testing/answers.ts';
import { startCollector } from './testing/collector.ts';
import { json, startEngine } from './testing/engine.ts';
import { endpointSlice, routeSecret } from './testing/objects.ts';
import { aModel, aRoute, clientKey } from './testing/router.ts';

const ends: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).toReversed()) await end();
});

/** An API server that lists these Secrets and slices, and whose watches the test writes to. */
async function world(secrets: object[], slices: EndpointSlice[]) {
  const watches: Record<string, Reply[]> = { secrets: [], endpointslices: [] };
  let away = false;
  const answer = (asked: Asked, reply: Reply) => {
    if (away) return reply.reset();
    const plural = asked.path.split('/').at(-1) ?? '';
    if (!asked.query.has('watch')) {
      const service = /^kubernetes\.io\/service-name=(.+)$/.exec(asked.query.get('labelSelector') ?? '')?.[1];
      const selected = slices.filter(({ metadata: { labels } }) => labels?.['kubernetes.io/service-name'] === service);
      const items = plural === 'secrets' ? secrets : service === undefined ? slices : selected;
      return reply.json(200, { kind: 'List', metadata: { resourceVersion: '10' }, items });
    }
    reply.stream();
    watches[plural]?.push(reply);
  };
  const server = await scriptedServer(answer);
  ends.push(() => server.close());
  return {
    server,
    watching: (plural: string, watchers = 1) => (watches[plural] as Reply[]).length >= watchers,
    event: (plural: 'secrets' | 'endpointslices', type: string, object: object) => {
      for (const reply of watches[plural] as Reply[]) reply.event(type, object);
    },
    goAway() {
      away = true;
      for (const replies of Object.values(watches)) for (const reply of replies.splice(0)) reply.reset();
    },
  };
}

async function start(
  { server }: Awaited<ReturnType<typeof world>>,
  options: { config?: Omit<RouterConfigInput, 'namespace'>; log?: Logger } = {},
) {
  const cluster = new KubeClient(server.credentials, { userAgent: 'test' });
  const stop = new AbortController();
  const listening = Promise.withResolvers<{ port: number; probePort: number | undefined }>();
  const { config, ...rest } = options;
  const done = runRouter({
    config: { namespace: 'cadre', drain: { delaySeconds: 0, deadlineSeconds: 10 }, ...config },
    port: 0,
    host: '127.0.0.1',
    probePort: 0,
    log: silent,
    signal: stop.signal,
    onListening: listening.resolve,
    cluster,
    ...rest,
  });
  done.catch(listening.reject);
  ends.push(async () => {
    stop.abort();
    await done;
    await cluster.close();
  });
  const ports = await listening.promise;
  const origin = `http://127.0.0.1:${ports.port}`;
  const probe = async (path: string) => {
    const answer = await fetch(`http://127.0.0.1:${ports.probePort}${path}`);
    return { status: answer.status, text: await answer.text() };
  };
  return { origin, probe, stop: () => stop.abort(), done };
}

const ask = (over: object = {}) => ({ model: 'triage', messages: [{ role: 'user', content: 'hello' }], ...over });

async function post(origin: string, body: object = ask()) {
  const answer = await fetch(`${origin}/v1/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${clientKey}` },
    body: JSON.stringify(body),
  });
  return { status: answer.status, json: (await answer.json()) as { error?: { code: string } } };
}

const route = aRoute([aModel('small')]);

describe('the router', () => {
  it('sends its traces to the collector that its configuration names, the last ones before it stops', async () => {
    await using engine = await startEngine(json(vllmChat('hi')));
    await using collector = await startCollector();
    const cluster = await world([routeSecret('r1', route, 1)], [endpointSlice('small-1', 'small', engine.port, 2)]);
    const router = await start(cluster, { config: { tracing: { endpoint: `${collector.origin}/` } } });
    expect((await post(router.origin)).status).toBe(200);
    router.stop();
    await router.done;
    expect(collector.paths()).toEqual(['/v1/traces']);
    expect(
      collector
        .spans()
        .map(({ kind }) => kind)
        .sort(),
    ).toEqual(['Client', 'Server']);
  });

  it('learns routes and endpoints by watch', async () => {
    await using engine = await startEngine(json(vllmChat('hi')));
    const cluster = await world([], []);
    const router = await start(cluster);
    expect((await post(router.origin)).status).toBe(401);
    await until('both are watched', () => cluster.watching('secrets') && cluster.watching('endpointslices'));
    cluster.event('secrets', 'ADDED', routeSecret('r1', route, 11));
    await eventually('the route', async () => expect((await post(router.origin)).json.error?.code).toBe('no_endpoint'));
    cluster.event('endpointslices', 'ADDED', endpointSlice('small-1', 'small', engine.port, 12));
    await eventually('the endpoint', async () => expect((await post(router.origin)).status).toBe(200));
    cluster.event(
      'endpointslices',
      'MODIFIED',
      endpointSlice('small-1', 'small', engine.port, 13, { ready: true, terminating: true }),
    );
    await eventually('the endpoint to end', async () =>
      expect((await post(router.origin)).json.error?.code).toBe('no_endpoint'),
    );
    cluster.event('secrets', 'DELETED', routeSecret('r1', route, 14));
    await eventually('the end of the route', async () => expect((await post(router.origin)).status).toBe(401));
  });

  it('divides limits among its replicas, which are the endpoints of its own Service', async () => {
    await using engine = await startEngine(json(vllmChat('hi')));
    const limited = { ...route, limits: { requestsPerMinute: 6, per: 'Policy' as const } };
    const own = (replicas: number, version: number): EndpointSlice => {
      const slice = endpointSlice('cadre-router-1', 'cadre-router', 8080, version);
      const endpoints = Array.from({ length: replicas }, (_, at) => ({ addresses: [`10.0.0.${at}`] }));
      const labels = { 'kubernetes.io/service-name': 'cadre-router' };
      return { ...slice, endpoints, metadata: { ...slice.metadata, labels } };
    };
    const cluster = await world(
      [routeSecret('r1', limited, 1)],
      [endpointSlice('small-1', 'small', engine.port, 2), own(3, 3)],
    );
    const router = await start(cluster, { config: { service: 'cadre-router' } });
    await until('slices are watched', () => cluster.watching('endpointslices', 2));
    const statuses = async (count: number) => {
      const all: number[] = [];
      while (all.length < count) all.push((await post(router.origin)).status);
      return all;
    };
    expect(await statuses(3)).toEqual([200, 200, 429]);
    cluster.event('endpointslices', 'MODIFIED', own(1, 20));
    await eventually('its share to be the whole', async () => expect((await post(router.origin)).status).toBe(200));
    expect(await statuses(4)).toEqual([200, 200, 200, 429]);
  });

  it('keeps the last good form of a route that becomes unreadable, and says so', async () => {
    await using engine = await startEngine(json(vllmChat('hi')));
    const cluster = await world([routeSecret('r1', route, 1)], [endpointSlice('small-1', 'small', engine.port, 2)]);
    const output = new PassThrough();
    let logged = '';
    output.on('data', (chunk: Buffer) => {
      logged += chunk.toString();
    });
    // Without the access log, which names the route in the requests that it samples.
    const router = await start(cluster, { log: createLogger('router', 'warn', output) });
    await until('secrets are watched', () => cluster.watching('secrets'));
    cluster.event('secrets', 'MODIFIED', routeSecret('r1', { ...route, version: 99 } as unknown as Route, 20));
    await until('the log says so', () => logged.includes("a route can't be read: its last good form is served"));
    expect((await post(router.origin)).status).toBe(200);
    await eventually('the metric to say so', async () =>
      expect((await router.probe('/metrics')).text).toContain('cadre_router_invalid_routes 1'),
    );
    expect(logged).not.toContain(route.model);
  });

  it('stays ready and serves what it knows while the API server is away, also when an endpoint dies', async () => {
    await using dead = await startEngine(json(vllmChat('dead')));
    await using alive = await startEngine(json(vllmChat('alive')));
    const cluster = await world(
      [routeSecret('r1', route, 1)],
      [endpointSlice('small-1', 'small', dead.port, 2), endpointSlice('small-2', 'small', alive.port, 3)],
    );
    const router = await start(cluster);
    await until('both are watched', () => cluster.watching('secrets') && cluster.watching('endpointslices'));
    cluster.goAway();
    await dead.kill();
    const answers = await Promise.all(Array.from({ length: 40 }, () => post(router.origin)));
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200));
    expect((await router.probe('/readyz')).status).toBe(200);
  });

  it('ends without losing a request: those that come while endpoints spread, and streams under way', async () => {
    const release = Promise.withResolvers<void>();
    await using engine = await startEngine(async ({ body, response }) => {
      if (body['stream'] !== true) return json(vllmChat('hi'))({ response } as never);
      const [role, first, ...others] = vllmStream(['a', 'b']).split(/(?<=\n\n)/);
      response.writeHead(200, { 'content-type': 'text/event-stream' }).write(`${role}${first}`);
      await release.promise;
      response.end(others.join(''));
    });
    const cluster = await world([routeSecret('r1', route, 1)], [endpointSlice('small-1', 'small', engine.port, 2)]);
    const router = await start(cluster, { config: { drain: { delaySeconds: 1, deadlineSeconds: 10 } } });
    const streaming = await fetch(`${router.origin}/v1/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${clientKey}` },
      body: JSON.stringify(ask({ stream: true })),
    });
    router.stop();
    await eventually('the router to drain', async () => expect((await router.probe('/readyz')).status).toBe(503));
    const agent = new HttpAgent({ keepAlive: true });
    const late = await answered(router.origin, agent);
    expect([late.statusCode, late.headers['connection']]).toEqual([200, 'close']);
    await eventually('the router to listen no longer', async () => expect(await refused(router.origin)).toBe(true));
    release.resolve();
    expect(await streaming.text()).toMatch(/data: \[DONE\]\n\n$/);
    await router.done;
  });

  it('waits for no connection that never said anything', async () => {
    const router = await start(await world([], []), { config: { drain: { delaySeconds: 0, deadlineSeconds: 3600 } } });
    const silentOne = connect(Number(new URL(router.origin).port), '127.0.0.1');
    ends.push(() => silentOne.destroy());
    await once(silentOne, 'connect');
    // What connects later is accepted later.
    await post(router.origin);
    router.stop();
    await router.done;
    expect(await refused(router.origin)).toBe(true);
  });

  it('cuts what is still under way at the deadline', async () => {
    await using engine = await startEngine(() => undefined);
    const cluster = await world([routeSecret('r1', route, 1)], [endpointSlice('small-1', 'small', engine.port, 2)]);
    const router = await start(cluster, { config: { drain: { delaySeconds: 0, deadlineSeconds: 1 } } });
    const cut = post(router.origin).catch((error: unknown) => error);
    await engine.waitForRequests(1);
    router.stop();
    expect(await cut).toBeInstanceOf(TypeError);
    await router.done;
    await until('the engine is left', () => engine.last.gone);
  });

  it('says which field of its configuration is wrong', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'cadre-router-'));
    ends.push(() => rmSync(dir, { recursive: true }));
    const file = join(dir, 'router.yaml');
    writeFileSync(file, 'namespace: cadre\nproviders: {allowedCIDRs: [10.0.0.0]}\nbodyLimit: 3\n');
    const options = { configFile: file, port: 0, log: silent, signal: new AbortController().signal };
    await expect(runRouter(options)).rejects.toThrow(
      /InvalidConfig|providers\.allowedCIDRs\.0: must be a range in CIDR notation[\s\S]*bodyLimit/,
    );
    writeFileSync(file, 'namespace: cadre\nproviders: {caFile: /nowhere.pem}\n');
    const { server } = await world([], []);
    const cluster = new KubeClient(server.credentials, { userAgent: 'test' });
    ends.push(() => cluster.close());
    await expect(runRouter({ ...options, cluster })).rejects.toThrow('providers.caFile /nowhere.pem: ENOENT');
  });
});

function answered(origin: string, agent: HttpAgent): Promise<IncomingMessage> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const request = httpRequest(`${origin}/v1/chat/completions`, {
    method: 'POST',
    agent,
    headers: { authorization: `Bearer ${clientKey}` },
  });
  request.on('response', (response) => {
    response.resume();
    resolve(response);
  });
  request.on('error', reject);
  request.end(JSON.stringify(ask()));
  return promise;
}

async function refused(origin: string): Promise<boolean> {
  try {
    await (await fetch(`${origin}/v1/models`)).text();
    return false;
  } catch {
    return true;
  }
}
