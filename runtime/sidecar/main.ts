import { createHash, timingSafeEqual } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { drainKeyHeader, drainPath } from '../../crds/names.ts';
import { errorMessage } from '../../process/errors.ts';
import { answerProbe, listen } from '../../process/probes.ts';
import { type DrainResult, drain } from './drain.ts';
import { type EngineClient, engineClient } from './engine-client.ts';
import { EngineWatch } from './engine-watch.ts';
import { engines } from './engines/registry.ts';
import { sidecarMetrics } from './metrics.ts';
import type { SidecarOptions, SidecarTuning } from './options.ts';

export type { SidecarOptions } from './options.ts';

const defaults: SidecarTuning = {
  loadingPollMs: 250,
  readyPollMs: 2_500,
  drainPollMs: 500,
  probeTimeoutMs: 3_000,
  warmUpTimeoutMs: 300_000,
};

/**
 * Stands beside the engine in a model's pod: warms it up, says when it is ready, relays its metrics, and drains it: the
 * engine's preStop hook calls `/drain` and so waits until nothing is in flight. Runs until `signal` aborts, which comes
 * after the engine has ended, and then ends at once.
 */
export async function runSidecar(options: SidecarOptions): Promise<void> {
  const { log, signal, model, task } = options;
  const engine = engines[options.engine];
  const tuning = { ...defaults, ...options.tuning };
  const client = engineClient(options.engineUrl, engine, tuning.probeTimeoutMs);
  let draining: { settled: boolean; result: Promise<DrainResult> } | undefined;

  const watch = new EngineWatch({
    client,
    engine,
    model,
    task,
    tuning,
    log,
    mayWarmUp: () => draining?.settled !== false,
    onWarm: (seconds) => {
      metrics.warmUpSeconds.set(seconds);
      // The kubelet also calls preStop when it restarts only the engine; then the pod goes on with the new process.
      draining = undefined;
    },
  });
  const problem = (): string | undefined => (draining ? 'draining' : watch.problem);
  const metrics = sidecarMetrics({
    ready: () => problem() === undefined,
    draining: () => draining !== undefined,
    restarts: () => watch.state.restarts,
  });

  const drainOnce = (): Promise<DrainResult> => {
    if (draining) return draining.result;
    const started = { settled: false, result: startDrain(options, client, tuning.drainPollMs) };
    draining = started;
    void started.result.finally(() => {
      started.settled = true;
    });
    return started.result;
  };
  const probes = { healthy: () => undefined, ready: problem, registry: metrics.registry };
  const server = createServer((request, response) => {
    const path = request.url?.split('?', 1)[0];
    if (path === '/metrics') void relayMetrics(client, metrics, response);
    else if (path === drainPath) void answerDrain(drainOnce, options.drainKey, request, response);
    else if (!answerProbe(probes, request, response))
      response.writeHead(404, { 'content-type': 'text/plain' }).end('not found\n');
  });
  const port = await listenOn(server, options);
  log.info({ port, engineUrl: options.engineUrl, model }, 'the sidecar listens');
  options.onListening?.(port);
  try {
    await watch.run(signal);
  } finally {
    server.close();
    server.closeAllConnections();
  }
}

/** All addresses of both families, where the kernel has IPv6. */
async function listenOn(server: Server, { host, port }: SidecarOptions): Promise<number> {
  const at = (address: string): Promise<number> => listen(server, { host: address, port, setting: '--port' });
  if (host !== undefined) return at(host);
  return at('::').catch((error: unknown) => {
    if (!errorMessage(error).includes('EAFNOSUPPORT')) throw error;
    return at('0.0.0.0');
  });
}

async function startDrain(options: SidecarOptions, client: EngineClient, pollMs: number): Promise<DrainResult> {
  const { drainDelayMs: delayMs, drainDeadlineMs: deadlineMs, log, signal } = options;
  log.info({ delayMs, deadlineMs }, 'draining');
  const result = await drain({ delayMs, deadlineMs, pollMs, inFlight: () => client.inFlight(), signal });
  if (result.drained) log.info(result, 'drained');
  else log.warn(result, 'the drain ended with requests in flight, or without knowing of any');
  return result;
}

/** GET, because it is what a preStop hook sends. All callers wait for the one drain. */
async function answerDrain(
  drainOnce: () => Promise<DrainResult>,
  key: string | undefined,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  if (request.method !== 'GET' && request.method !== 'POST') {
    response.writeHead(405, { allow: 'GET, POST' }).end();
    return;
  }
  if (key !== undefined && !isSameText(request.headers[drainKeyHeader], key)) {
    response
      .writeHead(403, { 'content-type': 'text/plain' })
      .end(`the header ${drainKeyHeader} must be the drain key\n`);
    return;
  }
  const result = await drainOnce();
  response.writeHead(200, { 'content-type': 'application/json' }).end(`${JSON.stringify(result)}\n`);
}

/** Takes as long whichever character differs. */
function isSameText(given: string | string[] | undefined, key: string): boolean {
  if (typeof given !== 'string') return false;
  const [a, b] = [given, key].map((text) => createHash('sha256').update(text).digest()) as [Buffer, Buffer];
  return timingSafeEqual(a, b);
}

async function relayMetrics(
  client: EngineClient,
  own: ReturnType<typeof sidecarMetrics>,
  response: ServerResponse,
): Promise<void> {
  const relayed = await client.metrics().catch(() => undefined);
  own.metricsUp.set(relayed ? 1 : 0);
  const ours = await own.registry.metrics();
  const theirs = relayed && !relayed.text.endsWith('\n') ? `${relayed.text}\n` : (relayed?.text ?? '');
  response.writeHead(200, { 'content-type': relayed?.contentType ?? own.registry.contentType }).end(`${theirs}${ours}`);
}
