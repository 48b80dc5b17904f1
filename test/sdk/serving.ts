import { createHash } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runServe } from '../../cli/serve.ts';
import { createLogger } from '../../process/logger.ts';
import { temporaryFolder } from '../../process/testing/temporary-folder.ts';
import { event, type Received, startEngine, type TestEngine } from '../../runtime/router/testing/engine.ts';
import { untilHealthy } from '../support/engine-process.ts';
import { type SimulatedEngine, startEngineSim } from '../support/engine-sim/start.ts';

/** A router as `cadre serve` runs it, in front of simulated engines. */
export interface Serving extends AsyncDisposable {
  /** What a client takes as its base URL. */
  baseURL: string;
  apiKey: string;
  /** vLLM that generates, under the name `assistant`. */
  engine: SimulatedEngine;
  /** vLLM that calls the function `weather`, under the name `caller`. */
  caller: TestEngine;
}

/** Tests look at how many requests came: each has a router of its own, or counts from what came before. */
export async function startServing(): Promise<Serving> {
  await using opened = new AsyncDisposableStack();
  const folder = opened.use(await temporaryFolder('sdk'));
  const engine = opened.use(await startEngineSim({ engine: 'VLLM', model: 'assistant' }));
  const embedder = opened.use(
    await startEngineSim({ engine: 'VLLM', model: 'embedder', args: ['--runner', 'pooling'] }),
  );
  const caller = opened.use(await startEngine(callWeather));
  await Promise.all([untilHealthy(engine), untilHealthy(embedder)]);

  const apiKey = `sk-${createHash('sha256').update(folder.path).digest('hex')}`;
  const file = join(folder.path, 'policies.yaml');
  await writeFile(file, manifests(apiKey));
  const stop = new AbortController();
  const listening = Promise.withResolvers<number>();
  const done = runServe({
    paths: [file],
    given: {
      endpoints: new Map([
        ['assistant', [engine.url]],
        ['embedder', [embedder.url]],
        ['caller', [caller.origin]],
      ]),
      engines: new Map(),
      secrets: new Map(),
    },
    listen: { host: '127.0.0.1', port: 0 },
    configFile: undefined,
    log: createLogger('router', 'error'),
    signal: stop.signal,
    onListening: listening.resolve,
  });
  done.catch(listening.reject);
  opened.defer(async () => {
    stop.abort();
    await done;
  });
  const port = await listening.promise;
  const all = opened.move();
  return {
    baseURL: `http://127.0.0.1:${port}/v1`,
    apiKey,
    engine,
    caller,
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
}

function manifests(key: string): string {
  const secret = `apiVersion: v1\nkind: Secret\nmetadata: {name: key}\nstringData: {token: ${key}}\n`;
  const embedder =
    'apiVersion: cadre.dev/v1alpha1\nkind: SpecializedModel\nmetadata: {name: embedder}\n' +
    'spec: {task: Embedding, engine: {type: VLLM}, model: {uri: pvc://models/embedder}, replicas: 1}\n';
  const policies = ['assistant', 'embedder', 'caller'].map(
    (name) => `apiVersion: cadre.dev/v1alpha1
kind: RoutingPolicy
metadata: {name: ${name}}
spec:
  access: {keys: [{name: tests, secretRef: {name: key, key: token}}]}
  backends: [{name: only, modelRef: {name: ${name}}}]
  split: [{backend: only, weight: 1}]
`,
  );
  return [secret, embedder, ...policies].join('---\n');
}

/** Calls the function first, and says what it returned when it is told: as vLLM does with `--enable-auto-tool-choice`. */
function callWeather({ body, response }: Received): void {
  const messages = body['messages'] as { role: string; content: string }[];
  const told = messages.findLast(({ role }) => role === 'tool')?.content;
  const head = { id: 'chatcmpl-1', created: 1_760_000_000, model: 'caller' };
  const call = { id: 'chatcmpl-tool-1', type: 'function', function: { name: 'weather', arguments: '' } };
  const written = '{"city": "Bern"}';
  const finish = told === undefined ? 'tool_calls' : 'stop';
  const usage = { prompt_tokens: 20, completion_tokens: 9, total_tokens: 29 };
  if (body['stream'] !== true) {
    const called = { ...call, function: { ...call.function, arguments: written } };
    const message = { role: 'assistant', content: told ?? null, tool_calls: told === undefined ? [called] : [] };
    const choices = [{ index: 0, message, logprobs: null, finish_reason: finish }];
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ ...head, object: 'chat.completion', choices, usage }));
    return;
  }
  const chunk = (delta: object, reason: string | null = null) =>
    event({
      ...head,
      object: 'chat.completion.chunk',
      choices: [{ index: 0, delta, logprobs: null, finish_reason: reason }],
    });
  const part = (text: string) => chunk({ tool_calls: [{ index: 0, function: { arguments: text } }] });
  const parts =
    told === undefined
      ? [chunk({ tool_calls: [{ index: 0, ...call }] }), part(written.slice(0, 5)), part(written.slice(5))]
      : [chunk({ content: told })];
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  const last = event({ ...head, object: 'chat.completion.chunk', choices: [], usage });
  response.end(
    [chunk({ role: 'assistant', content: '' }), ...parts, chunk({}, finish), last, event('[DONE]')].join(''),
  );
}
