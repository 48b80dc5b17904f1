import { randomUUID } from 'node:crypto';
import { commonFields, type Generation, logprobsAsked, renderChat } from '../core/ask.ts';
import { belief } from '../core/belief.ts';
import { type Constraint, ConstraintError } from '../core/constraint.ts';
import { embed, encoded, textsOf } from '../core/embedding.ts';
import { FlagError, numberFlag, parseFlags, textFlag } from '../core/flags.ts';
import { generate } from '../core/generate.ts';
import { type Exchange, sendJson } from '../core/http.ts';
import { Scheduler } from '../core/scheduler.ts';
import { asText, tokenize } from '../core/text.ts';
import type { Dialect, Host } from './dialect.ts';
import { vllmFlags } from './vllm-flags.ts';
import { VllmMetrics } from './vllm-metrics.ts';
import { adapterOf, readModelFolder } from './vllm-model.ts';
import { chatPrompts, completionPrompts, constraintOf, problemOf } from './vllm-requests.ts';
import { vllmWording } from './vllm-wording.ts';

const dimensions = 64;

/** `vllm serve` 0.32.0, as measured. Throws `FlagError` for a command line that it would exit on. */
export function vllm(args: string[], host: Host): Dialect {
  const { flags, positional } = parseFlags(args, { table: vllmFlags, argparse: true });
  const [command, folder, ...more] = positional;
  if (command !== 'serve')
    throw new FlagError(`argument subparser: invalid choice: '${command ?? ''}' (choose from serve)`);
  if (more.length > 0) throw new FlagError(`unrecognized arguments: ${more.join(' ')}`);
  const modelPath = folder ?? textFlag(flags, '--model') ?? '';
  const model = readModelFolder(modelPath);
  const { settings } = host;
  const name = textFlag(flags, '--served-model-name') ?? modelPath;
  const adapter = adapterOf(flags);
  const names = adapter ? [name, adapter.name] : [name];
  const context = numberFlag(flags, '--max-model-len', model.context ?? settings.modelContext);
  const queueCap = numberFlag(flags, '--max-num-queued-reqs', 0);
  const shutdownSeconds = numberFlag(flags, '--shutdown-timeout', 0);
  const key = textFlag(flags, '--api-key');
  const serves = model.labels ? 'classify' : textFlag(flags, '--runner') === 'pooling' ? 'embed' : 'generate';
  const metrics = new VllmMetrics(name);
  const scheduler = new Scheduler(numberFlag(flags, '--max-num-seqs', 256), settings, {
    onToken: (sequence, now) => metrics.onToken(sequence, now),
    onEnd: (sequence, ending) => metrics.onEnd(sequence, ending),
  });
  let compiled = false;
  let stopping = false;
  let dead = false;

  function refuse(exchange: Exchange, code: number, type: string, message: string, param: string | null = null): void {
    sendJson(exchange, code, { error: { message, type, param, code } });
  }

  async function handle(exchange: Exchange): Promise<void> {
    exchange.response.once('finish', () =>
      metrics.countHttp(exchange.method, exchange.path, exchange.response.statusCode),
    );
    const { path, method, request } = exchange;
    if (
      key !== undefined &&
      /^\/(v1|v2|inference)(\/|$)/.test(path) &&
      request.headers.authorization !== `Bearer ${key}`
    )
      return sendJson(exchange, 401, { error: 'Unauthorized' });
    const route = routes[path];
    if (!route) return sendJson(exchange, 404, { detail: 'Not Found' });
    if (route.method !== method) return sendJson(exchange, 405, { detail: 'Method Not Allowed' });
    if (method === 'POST' && dead)
      return refuse(exchange, 500, 'InternalServerError', 'EngineCore encountered an issue.');
    if (method === 'POST' && stopping)
      return refuse(exchange, 500, 'InternalServerError', 'cannot schedule new futures after shutdown');
    await route.answer(exchange);
  }

  interface Route {
    method: string;
    answer: (exchange: Exchange) => Promise<void> | void;
  }
  const get = (answer: Route['answer']): Route => ({ method: 'GET', answer });
  const post = (answer: Route['answer']): Route => ({ method: 'POST', answer });
  const routes: Record<string, Route> = {
    '/health': get(health),
    '/ping': get(health),
    '/version': get((exchange) => sendJson(exchange, 200, { version: '0.32.0' })),
    '/load': get((exchange) => {
      const tracked = flags.has('--enable-server-load-tracking') ? scheduler.running + scheduler.waiting : 0;
      sendJson(exchange, 200, { server_load: tracked });
    }),
    '/metrics': get(({ response }) => {
      response
        .writeHead(200, { 'content-type': 'text/plain; version=1.0.0; charset=utf-8' })
        .end(metrics.text(scheduler));
    }),
    '/v1/models': get((exchange) => {
      const created = Math.floor(Date.now() / 1000);
      const common = { object: 'model', created, owned_by: 'vllm', permission: [] };
      const base = { ...common, id: name, root: modelPath, parent: null, max_model_len: context };
      const beside = adapter ? [{ ...common, id: adapter.name, root: adapter.path, parent: name }] : [];
      sendJson(exchange, 200, { object: 'list', data: [base, ...beside] });
    }),
    '/tokenize': post((exchange) => {
      const body = parsed(exchange);
      if (!body) return;
      const tokens = tokenize(asText(body['prompt']));
      sendJson(exchange, 200, {
        count: tokens.length,
        max_model_len: context,
        tokens: tokens.map((_, at) => at),
        token_strs: null,
      });
    }),
    // Endpoints of another task are plain 404.
    ...(serves === 'generate'
      ? {
          '/v1/chat/completions': post((exchange) => complete(exchange, 'chat')),
          '/v1/completions': post((exchange) => complete(exchange, 'completions')),
          '/invocations': post((exchange) => complete(exchange, 'chat')),
        }
      : {}),
    ...(serves === 'embed' ? { '/v1/embeddings': post(embeddings) } : {}),
    ...(serves === 'classify' ? { '/classify': post(classify) } : {}),
  };

  function health({ response }: Exchange): void {
    response.writeHead(dead ? 503 : (host.faults.current.health?.status ?? 200)).end();
  }

  function parsed(exchange: Exchange): Record<string, unknown> | undefined {
    try {
      const body: unknown = JSON.parse(exchange.body.toString('utf8'));
      if (typeof body === 'object' && body !== null && !Array.isArray(body))
        return checkedModel(exchange, body as Record<string, unknown>);
    } catch {
      // Told below, as for anything that is not an object.
    }
    refuse(exchange, 400, 'Bad Request', 'JSON decode error', 'body.0');
    return undefined;
  }

  function checkedModel(exchange: Exchange, body: Record<string, unknown>): Record<string, unknown> | undefined {
    if (body['model'] === undefined || names.some((one) => one === body['model'])) return body;
    refuse(
      exchange,
      404,
      'NotFoundError',
      `The model \`${asText(body['model'])}\` does not exist. Valid aliases: ${names.join(', ')}.`,
      'model',
    );
    return undefined;
  }

  async function complete(exchange: Exchange, api: Generation['api']): Promise<void> {
    const body = parsed(exchange);
    if (!body) return;
    const prompts = api === 'chat' ? chatPrompts(body) : completionPrompts(body);
    if (!prompts)
      return refuse(exchange, 400, 'Bad Request', 'Field required', api === 'chat' ? 'body.messages' : 'body.prompt');
    let constraint: Constraint | undefined;
    try {
      constraint = constraintOf(body);
    } catch (error) {
      if (!(error instanceof ConstraintError)) throw error;
      return refuse(exchange, 400, 'BadRequestError', `Grammar error: ${error.message}`);
    }
    const common = commonFields(body);
    const limit = body['max_completion_tokens'] ?? body['max_tokens'];
    const logprobs = logprobsAsked(api, body);
    const problem = problemOf(body, common, prompts, limit, logprobs, {
      context,
      tools: flags.has('--enable-auto-tool-choice'),
    });
    if (problem) return refuse(exchange, 400, 'BadRequestError', problem.message, problem.param ?? null);
    // The cap counts waiting and running alike.
    if (queueCap > 0 && scheduler.running + scheduler.waiting >= queueCap) {
      metrics.rejected++;
      const message =
        'The engine is currently busy and cannot accept new requests. Please try again later or on a different instance.';
      return refuse(exchange, 503, 'Service Unavailable', message);
    }
    const generation: Generation = {
      api,
      prompts,
      ...common,
      // OpenAI's default of a completion; a chat goes on to the end of the context.
      maxTokens: typeof limit === 'number' ? limit : api === 'completions' ? 16 : undefined,
      logprobs,
      constraint,
    };
    const extraSeconds = logprobs !== undefined && !compiled ? settings.firstLogprobsSeconds : 0;
    if (logprobs !== undefined) compiled = true;
    await generate({
      exchange,
      generation,
      wording: vllmWording(
        generation,
        names.find((one) => one === body['model']) ?? name,
        `${api === 'chat' ? 'chatcmpl' : 'cmpl'}-${randomUUID().replaceAll('-', '')}`,
      ),
      scheduler,
      settings,
      faults: host.faults,
      context,
      cancelsUnary: true,
      pingMs: 0,
      abortReason: 'abort',
      extraSeconds,
      errorEvent: () => ({
        error: { message: 'simulated failure', type: 'InternalServerError', param: null, code: 500 },
      }),
    });
  }

  function embeddings(exchange: Exchange): void {
    const body = parsed(exchange);
    if (!body) return;
    const texts = textsOf(body['input']);
    if (!texts) return refuse(exchange, 400, 'Bad Request', 'Field required', 'body.input');
    const tokens = counted(texts);
    sendJson(exchange, 200, {
      id: `embd-${randomUUID()}`,
      object: 'list',
      created: Math.floor(Date.now() / 1000),
      model: name,
      data: texts.map((text, index) => ({
        index,
        object: 'embedding',
        embedding: encoded(embed(text, dimensions, settings.seed), body['encoding_format']),
      })),
      usage: { prompt_tokens: tokens, total_tokens: tokens, completion_tokens: 0, prompt_tokens_details: null },
    });
  }

  function classify(exchange: Exchange): void {
    const body = parsed(exchange);
    if (!body) return;
    const messages = body['messages'];
    const texts = textsOf(body['input']) ?? (Array.isArray(messages) ? [renderChat(messages)] : undefined);
    if (!texts) return refuse(exchange, 400, 'Bad Request', 'Field required', 'body.input');
    const labels = model.labels ?? [];
    const tokens = counted(texts);
    sendJson(exchange, 200, {
      id: `classify-${randomUUID()}`,
      object: 'list',
      created: Math.floor(Date.now() / 1000),
      model: name,
      data: texts.map((text, index) => {
        const probs = belief(text, labels, settings.seed);
        const label = labels[probs.indexOf(Math.max(...probs))];
        return { index, label, probs, num_classes: labels.length };
      }),
      usage: { prompt_tokens: tokens, total_tokens: tokens, completion_tokens: 0, prompt_tokens_details: null },
    });
  }

  function counted(texts: string[]): number {
    const tokens = texts.reduce((sum, text) => sum + tokenize(text).length, 0);
    scheduler.totals.promptTokens += tokens;
    metrics.countEnd('stop', texts.length);
    return tokens;
  }

  function exitWhenIdle(code: number): void {
    const waiting = setInterval(() => {
      if (host.open.size > 0) return;
      clearInterval(waiting);
      host.exit(code);
    }, 50);
  }

  return {
    host: textFlag(flags, '--host') ?? '0.0.0.0',
    port: numberFlag(flags, '--port', 8000),
    listensWhileLoading: false,
    onReady: () => undefined,
    handle,
    failure: (status) => ({
      error: { message: 'simulated failure', type: 'InternalServerError', param: null, code: status },
    }),
    load: () => ({ running: scheduler.running, waiting: scheduler.waiting }),
    onTerminate(times) {
      if (times > 1) return host.exit(1);
      stopping = true;
      // New requests are refused, the health check still says 200; what is in flight is aborted, or finished in the time.
      setTimeout(() => scheduler.abortAll(), shutdownSeconds * 1000);
      setTimeout(() => exitWhenIdle(0), 700);
    },
    onKilled: () => scheduler.freeze(),
    onCrash() {
      // The core dies: unhealthy for two seconds, then the server ends, with 0.
      dead = true;
      scheduler.abortAll();
      setTimeout(() => host.exit(0), 2_000);
    },
  };
}
