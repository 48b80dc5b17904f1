import { randomBytes } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Pool } from 'undici';
import { modelLabel, routeDataKey, routeLabel, routeSecretType } from '../../crds/names.ts';
import { routeVersion } from '../../crds/route-table.ts';
import type { Cluster, KubeObject, WatchEvent } from '../../kube/types.ts';
import { createLogger } from '../../process/logger.ts';
import { runRouter } from '../../runtime/router/main.ts';

/** What runs as a process of its own. */
export type Part = 'backend' | 'bare' | 'router';

export const clientKey = 'bench-0123456789abcdef0123456789abcdef';
/** SHA-256 of `clientKey`. */
const keyDigest = 'b404a83ff2bc37e65c27d7365facc9201876082033a17dd7238bbc8494c80099';

/** Starts a part and resolves with its port. */
export async function startPart(part: Part, backendPort: number): Promise<number> {
  if (part === 'backend') return listening(createServer(answerAtOnce));
  if (part === 'bare') return listening(createServer(bareProxy(new Pool(`http://127.0.0.1:${backendPort}`))));
  return startRouter(backendPort);
}

const token = {
  token: ' billing',
  logprob: -0.12,
  bytes: [32, 98],
  top_logprobs: [{ token: ' billing', logprob: -0.12 }],
};
const chunk = (delta: object, finish: string | null = null) => ({
  id: 'chatcmpl-0123456789abcdef',
  object: 'chat.completion.chunk',
  created: 1_760_000_000,
  model: 'served',
  choices: [{ index: 0, delta, logprobs: null, finish_reason: finish }],
});
const usage = { prompt_tokens: 210, total_tokens: 214, completion_tokens: 4, prompt_tokens_details: null };
const answer = JSON.stringify({
  ...chunk({}),
  object: 'chat.completion',
  choices: [
    {
      index: 0,
      message: { role: 'assistant', content: 'billing', refusal: null, function_call: null, reasoning: null },
      logprobs: { content: [token, token] },
      finish_reason: 'stop',
      stop_reason: null,
    },
  ],
  usage,
});
/** Events of a stream, the one with the usage and `[DONE]` included. */
export const eventsPerStream = 64;
const events = [
  ...Array.from({ length: eventsPerStream - 3 }, (_, i) => chunk({ content: ` word${i}` })),
  chunk({}, 'stop'),
  { ...chunk({}), choices: [], usage },
].map((one) => `data: ${JSON.stringify(one)}\n\n`);

/** About 900 bytes, as an application sends them. */
export const request = {
  model: 'triage',
  messages: [
    { role: 'system', content: 'You sort messages of customers of a bank into queues. Answer with one queue.' },
    { role: 'user', content: 'My card has not arrived and I was charged twice for the parcel. '.repeat(10) },
  ],
  temperature: 0,
  max_tokens: 8,
  logprobs: true,
  top_logprobs: 1,
};

function answerAtOnce(incoming: IncomingMessage, response: ServerResponse): void {
  const chunks: Buffer[] = [];
  incoming.on('data', (part: Buffer) => chunks.push(part));
  incoming.on('end', () => {
    if (!Buffer.concat(chunks).includes('"stream":true')) {
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(answer) });
      response.end(answer);
      return;
    }
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    let sent = 0;
    // An event a turn of the loop, as tokens come one by one.
    const next = () => {
      if (sent < events.length) {
        response.write(events[sent++]);
        setImmediate(next);
      } else response.end('data: [DONE]\n\n');
    };
    next();
  });
}

/** The least that a proxy in Node can do that reads what passes: parse the request, parse the answer, each event of a stream. */
function bareProxy(pool: Pool) {
  return (incoming: IncomingMessage, response: ServerResponse): void => {
    const chunks: Buffer[] = [];
    incoming.on('data', (part: Buffer) => chunks.push(part));
    incoming.on('end', () => {
      const body = Buffer.concat(chunks);
      const { stream } = JSON.parse(body.toString()) as { stream?: boolean };
      const headers = ['content-type', 'application/json'];
      const parts: Buffer[] = [];
      pool.dispatch(
        { method: 'POST', path: '/v1/chat/completions', headers, body },
        {
          onRequestStart: () => undefined,
          onResponseStart(_, status) {
            if (stream) response.writeHead(status, { 'content-type': 'text/event-stream' });
          },
          onResponseData(_, part) {
            if (stream) response.write(part);
            else parts.push(part);
          },
          onResponseEnd() {
            if (stream) {
              response.end();
              return;
            }
            const whole = Buffer.concat(parts);
            JSON.parse(whole.toString());
            response.writeHead(200, { 'content-type': 'application/json', 'content-length': whole.length });
            response.end(whole);
          },
          onResponseError: () => response.destroy(),
        },
      );
    });
  };
}

/** The router as it ships, with two backends to split between, metrics and access log on. */
function startRouter(backendPort: number): Promise<number> {
  const model = (name: string) => ({
    name,
    kind: 'Model',
    namespace: 'bench',
    model: name,
    engine: 'VLLM',
    task: 'Generation',
    servedModel: 'served',
  });
  const route = {
    version: routeVersion,
    policy: { namespace: 'bench', name: 'triage', uid: 'u', generation: 1 },
    model: 'triage',
    access: { mode: 'Keys', keys: [{ name: 'bench', sha256: keyDigest }] },
    backends: [model('specialist'), model('flagship')],
    split: [
      { backend: 'specialist', weight: 90 },
      { backend: 'flagship', weight: 10 },
    ],
    fallback: ['flagship'],
    output: {},
    timeouts: { firstByteMs: 10_000, idleMs: 20_000, totalMs: 60_000 },
  };
  const metadata = (name: string, labels: Record<string, string>) => {
    return { name, namespace: 'bench', uid: name, resourceVersion: '1', labels };
  };
  const secret = {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: metadata('route', { [routeLabel]: 'true' }),
    type: routeSecretType,
    data: { [routeDataKey]: Buffer.from(JSON.stringify(route)).toString('base64') },
  };
  const slices = ['specialist', 'flagship'].map((name) => ({
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: metadata(name, { [modelLabel]: name, 'kubernetes.io/service-name': name }),
    addressType: 'IPv4',
    endpoints: [{ addresses: ['127.0.0.1'], conditions: { ready: true } }],
    ports: [{ name: 'http', port: backendPort }],
  }));
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  runRouter({
    config: { namespace: 'bench' },
    port: 0,
    host: '127.0.0.1',
    probePort: 0,
    log: createLogger('router', 'warn'),
    signal: new AbortController().signal,
    cluster: fixedCluster({ secrets: [secret], endpointslices: slices }),
    onListening: ({ port }) => resolve(port),
  }).catch(reject);
  return promise;
}

/** A cluster in which nothing happens. */
function fixedCluster(objects: Record<string, KubeObject[]>): Cluster {
  const none = () => Promise.reject(new Error('the bench only reads'));
  return {
    get: none,
    create: none,
    replace: none,
    apply: none,
    applyStatus: none,
    delete: none,
    list: ({ plural }) => Promise.resolve({ items: (objects[plural] ?? []) as never[], resourceVersion: '1' }),
    async *watch<T extends KubeObject>(): AsyncGenerator<WatchEvent<T>> {
      await new Promise(() => undefined);
      yield { type: 'BOOKMARK', resourceVersion: randomBytes(4).toString('hex') };
    },
  };
}

function listening(server: ReturnType<typeof createServer>): Promise<number> {
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port));
  });
}
