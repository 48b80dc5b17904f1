import { randomUUID } from 'node:crypto';
import { closeSync, openSync, readSync, statSync } from 'node:fs';
import { commonFields, type Generation, logprobsAsked } from '../core/ask.ts';
import { type Constraint, ConstraintError } from '../core/constraint.ts';
import { embed, encoded, textsOf } from '../core/embedding.ts';
import { FlagError, numberFlag, parseFlags, textFlag } from '../core/flags.ts';
import { generate } from '../core/generate.ts';
import { type Exchange, sendJson, sendText } from '../core/http.ts';
import { Scheduler } from '../core/scheduler.ts';
import { asText, tokenId, tokenize } from '../core/text.ts';
import type { Dialect, Host } from './dialect.ts';
import { llamaFlags } from './llama-flags.ts';
import { llamaMetrics } from './llama-metrics.ts';
import { chatPrompts, completionPrompts, constraintOf, raisedBy } from './llama-requests.ts';
import { llamaWording } from './llama-wording.ts';

const dimensions = 576;

/** llama-server 0.7.0, as measured. Throws `FlagError` for a command line that it would exit on. */
export function llamaCpp(args: string[], host: Host): Dialect {
  const { flags, positional } = parseFlags(args, { table: llamaFlags, argparse: false });
  if (positional.length > 0) throw new FlagError(`invalid argument: ${positional[0]}`);
  const modelPath = textFlag(flags, '--model') ?? '';
  requireGguf(modelPath);

  const { settings } = host;
  const parallel = numberFlag(flags, '--parallel', -1);
  const slots = parallel < 1 ? 4 : parallel;
  const total = numberFlag(flags, '--ctx-size', 0) || settings.modelContext;
  const unified = flags.get('--kv-unified') === true || parallel < 1;
  const context = unified ? Math.min(total, settings.modelContext) : Math.floor(total / slots);
  const alias = textFlag(flags, '--alias')?.split(',')[0] ?? modelPath;
  const keys = textFlag(flags, '--api-key')?.split(',');
  const pingSeconds = numberFlag(flags, '--sse-ping-interval', 30);
  const embeddings = flags.has('--embedding');
  const scheduler = new Scheduler(slots, settings);
  let ready = false;
  let stopping = false;

  function refuse(exchange: Exchange, code: number, type: string, message: string, more: object = {}): void {
    sendJson(exchange, code, { error: { code, message, type, ...more } }, { connection: 'close' });
  }

  async function handle(exchange: Exchange): Promise<void> {
    const { method, path } = exchange;
    if (!ready) return refuse(exchange, 503, 'unavailable_error', 'Loading model');
    if (path === '/health' || path === '/v1/health') {
      const status = host.faults.current.health?.status;
      return status === undefined
        ? sendJson(exchange, 200, { status: 'ok' })
        : refuse(exchange, status, 'unavailable_error', 'simulated');
    }
    if (keys && !authorized(exchange, keys)) return refuse(exchange, 401, 'authentication_error', 'Invalid API Key');
    const route = (method === 'GET' ? gets : method === 'POST' ? posts : {})[path];
    if (!route) return refuse(exchange, 404, 'not_found_error', 'File Not Found');
    await Promise.resolve(route(exchange));
  }

  const gets: Record<string, (exchange: Exchange) => unknown> = {
    '/v1/models': (exchange) => sendJson(exchange, 200, modelList(alias, context, settings.modelContext)),
    '/props': (exchange) =>
      sendJson(exchange, 200, {
        default_generation_settings: { params: {}, n_ctx: context },
        total_slots: slots,
        model_alias: alias,
        model_path: modelPath,
        modalities: { vision: false, audio: false },
        endpoint_slots: true,
        endpoint_props: false,
        endpoint_metrics: flags.has('--metrics'),
        chat_template: '{% chatml %}',
        chat_template_caps: { supports_tools: false },
        build_info: 'b11669-Debian',
        is_sleeping: false,
      }),
    '/slots': (exchange) => {
      if (exchange.query.get('fail_on_no_slot') === '1' && scheduler.running >= slots)
        return refuse(exchange, 503, 'unavailable_error', 'no slot available');
      const busy = (id: number): boolean => id < scheduler.running;
      const list = Array.from({ length: slots }, (_, id) => ({
        id,
        n_ctx: context,
        speculative: false,
        is_processing: busy(id),
      }));
      return sendJson(exchange, 200, list);
    },
    '/metrics': (exchange) =>
      flags.has('--metrics')
        ? sendText(exchange, 200, llamaMetrics(scheduler), { 'content-type': 'text/plain; version=0.0.4' })
        : refuse(
            exchange,
            501,
            'not_supported_error',
            'This server does not support metrics endpoint. Start it with `--metrics`',
          ),
  };

  const posts: Record<string, (exchange: Exchange) => unknown> = {
    '/v1/chat/completions': (exchange) => complete(exchange, 'chat'),
    '/v1/completions': (exchange) => complete(exchange, 'completions'),
    '/v1/embeddings': (exchange) => embeddingsOf(exchange),
    '/tokenize': (exchange) => {
      const body = parsed(exchange);
      if (body) sendJson(exchange, 200, { tokens: tokenize(asText(body['content'])).map(tokenId) });
    },
  };

  function parsed(exchange: Exchange): Record<string, unknown> | undefined {
    try {
      const body: unknown = JSON.parse(exchange.body.toString('utf8'));
      if (typeof body === 'object' && body !== null && !Array.isArray(body)) return body as Record<string, unknown>;
    } catch {
      // Told below, as for anything that is not an object.
    }
    refuse(
      exchange,
      400,
      'invalid_request_error',
      '[json.exception.parse_error.101] parse error: syntax error while parsing value',
    );
    return undefined;
  }

  async function complete(exchange: Exchange, api: Generation['api']): Promise<void> {
    const body = parsed(exchange);
    if (!body) return;
    const prompts = api === 'chat' ? chatPrompts(body) : completionPrompts(body);
    if (typeof prompts === 'string') return refuse(exchange, 400, 'invalid_request_error', prompts);
    let constraint: Constraint | undefined;
    try {
      constraint = constraintOf(body);
    } catch (error) {
      if (!(error instanceof ConstraintError)) throw error;
      return refuse(exchange, 400, 'invalid_request_error', error.message);
    }
    const longest = Math.max(...prompts.map((prompt) => tokenize(prompt).length));
    if (longest >= context) {
      const message = `request (${longest} tokens) exceeds the available context size (${context} tokens), try increasing it`;
      return refuse(exchange, 400, 'exceed_context_size_error', message, { n_prompt_tokens: longest, n_ctx: context });
    }
    const limit = body['max_completion_tokens'] ?? body['max_tokens'] ?? body['n_predict'];
    const generation: Generation = {
      api,
      prompts,
      ...commonFields(body),
      maxTokens: typeof limit === 'number' && limit >= 0 ? limit : undefined,
      logprobs: logprobsAsked(api, body),
      // At a temperature above 0, what is sampled after a strong bias is one of the raised texts.
      constraint: constraint ?? raisedBy(body),
      afterSampling: body['post_sampling_probs'] === true,
    };
    await generate({
      exchange,
      generation,
      wording: llamaWording(generation, alias, `chatcmpl-${randomUUID().replaceAll('-', '')}`),
      scheduler,
      settings,
      faults: host.faults,
      context,
      cancelsUnary: false,
      pingMs: pingSeconds * 1000,
      abortReason: 'stop',
      extraSeconds: 0,
      errorEvent: () => ({ error: { code: 500, message: 'simulated failure', type: 'server_error' } }),
    });
  }

  function embeddingsOf(exchange: Exchange): void {
    if (!embeddings)
      return refuse(
        exchange,
        501,
        'not_supported_error',
        'This server does not support embeddings. Start it with `--embeddings`',
      );
    const body = parsed(exchange);
    if (!body) return;
    const texts = textsOf(body['input']);
    if (!texts) return refuse(exchange, 400, 'invalid_request_error', '"input" or "content" must be provided');
    const tokens = texts.reduce((sum, text) => sum + tokenize(text).length, 0);
    scheduler.totals.promptTokens += tokens;
    scheduler.totals.steps++;
    sendJson(exchange, 200, {
      model: alias,
      object: 'list',
      usage: { prompt_tokens: tokens, total_tokens: tokens },
      data: texts.map((text, index) => ({
        embedding: encoded(embed(text, dimensions, settings.seed), body['encoding_format']),
        index,
        object: 'embedding',
      })),
    });
  }

  return {
    host: textFlag(flags, '--host') ?? '127.0.0.1',
    port: numberFlag(flags, '--port', 9931),
    listensWhileLoading: true,
    onReady() {
      ready = true;
    },
    handle,
    failure: (status) => ({ error: { code: status, message: 'simulated failure', type: 'server_error' } }),
    load: () => ({ running: scheduler.running, waiting: scheduler.waiting }),
    onTerminate(times) {
      if (times > 1) return host.exit(1);
      stopping = true;
      // Decoding stops at once. A stream is closed with the next ping, without [DONE]; an unstreamed request is never
      // answered, and the process waits until its client hangs up.
      scheduler.freeze();
      host.stopListening();
      if (pingSeconds > 0) setTimeout(() => closeStreams(host.open), host.open.size > 0 ? pingSeconds * 1000 : 0);
      const waiting = setInterval(() => {
        if (host.open.size > 0 || !stopping) return;
        clearInterval(waiting);
        host.exit(0);
      }, 100);
    },
    onKilled: () => scheduler.freeze(),
    onCrash: () => host.exit(134),
  };
}

function closeStreams(open: Set<Exchange>): void {
  for (const { response, body } of open) {
    if (!/"stream"\s*:\s*true/.test(body.toString('utf8'))) continue;
    if (!response.headersSent) response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.write(':\n\n');
    response.end();
  }
}

function authorized({ request }: Exchange, keys: string[]): boolean {
  const { authorization, 'x-api-key': apiKey } = request.headers;
  const given = authorization?.replace(/^Bearer /, '') ?? apiKey;
  return typeof given === 'string' && keys.includes(given);
}

function modelList(alias: string, context: number, trained: number): object {
  const meta = {
    vocab_type: 2,
    n_vocab: 49_152,
    n_ctx: context,
    n_ctx_train: trained,
    n_embd: dimensions,
    ftype: 'Q4_1',
  };
  const created = Math.floor(Date.now() / 1000);
  const data = [{ id: alias, aliases: [alias], tags: [], object: 'model', created, owned_by: 'llamacpp', meta }];
  return { models: [{ name: alias, model: alias, type: 'model', capabilities: ['completion'] }], object: 'list', data };
}

/** The real one says the same on standard error, and exits with 1. */
function requireGguf(path: string): void {
  let magic = '';
  try {
    if (!statSync(path).isFile()) throw new Error('not a file');
    const file = openSync(path, 'r');
    const head = Buffer.alloc(4);
    readSync(file, head, 0, 4, 0);
    closeSync(file);
    magic = head.toString('latin1');
  } catch {
    // Told below.
  }
  if (magic !== 'GGUF')
    throw new FlagError(`failed to load model '${path}'\nsrv  llama_server: exiting due to model loading error`);
}
