import { createServer, type Server } from 'node:http';
import { FaultPlan } from './core/faults.ts';
import { FlagError } from './core/flags.ts';
import { type Exchange, readExchange, sendJson } from './core/http.ts';
import { readSettings } from './core/settings.ts';
import { type Dialect, type Host, isInference } from './dialects/dialect.ts';
import { llamaCpp } from './dialects/llama-cpp.ts';
import { vllm } from './dialects/vllm.ts';

export const dialects: Record<string, (args: string[], host: Host) => Dialect> = {
  'llama-server': llamaCpp,
  vllm,
};

/** One inference request, as it came. */
interface Seen {
  method: string;
  path: string;
  headers: Record<string, string | string[] | undefined>;
  body: string;
}

const rememberedRequests = 1000;

/** A running simulator. */
export interface Simulator {
  /** SIGTERM or SIGINT came. */
  terminate(): void;
  /** Ends it as SIGKILL would: every connection breaks. */
  stop(): Promise<void>;
}

/** The process that the simulator is, or the part of one. */
export interface Surroundings {
  env: Record<string, string | undefined>;
  /** Standard error. */
  write: (text: string) => void;
  exit: (code: number) => void;
}

/**
 * Starts an engine by its name and arguments. Beside the engine's own API it answers `/__sim/faults` (see `Faults`),
 * `/__sim/requests` (what came), `/__sim/load` and `/__sim/crash`.
 */
export function startSimulator(
  name: string,
  args: string[],
  { env, write, exit }: Surroundings,
): Simulator | undefined {
  const create = dialects[name];
  if (!create) throw new Error(`there is no engine ${name}; there are ${Object.keys(dialects).join(', ')}`);
  const settings = readSettings(env);
  const faults = new FaultPlan();
  if (env['SIM_FAULTS']) faults.set(JSON.parse(env['SIM_FAULTS']) as object);
  const open = new Set<Exchange>();
  const seen: Seen[] = [];
  let dialect: Dialect;
  try {
    dialect = create(args, { settings, faults, open, exit, stopListening: () => server.close() });
  } catch (error) {
    if (!(error instanceof FlagError)) throw error;
    write(`error: ${error.message}\n`);
    // argparse's exit code for a wrong command line is 2; a model that can't be loaded is 1 for both.
    exit(name === 'vllm' && error.message.includes('argument') ? 2 : 1);
    return undefined;
  }

  const server: Server = createServer((request, response) => {
    void (async () => {
      const exchange = await readExchange(request, response);
      if (exchange.path.startsWith('/__sim/')) return control(exchange);
      open.add(exchange);
      response.once('close', () => open.delete(exchange));
      if (isInference(exchange)) {
        const { method, path, body } = exchange;
        seen.push({ method, path, headers: request.headers, body: body.toString('utf8') });
        if (seen.length > rememberedRequests) seen.shift();
        if (failed(exchange)) return;
      }
      await dialect.handle(exchange);
    })().catch((error: unknown) => {
      write(`${error instanceof Error ? error.stack : String(error)}\n`);
      response.destroy();
    });
  });
  // Longer than any test holds a connection idle; the real ones close after five seconds.
  server.keepAliveTimeout = 5_000;

  function failed(exchange: Exchange): boolean {
    if (faults.take('reset')) {
      exchange.request.socket.resetAndDestroy();
      return true;
    }
    if (faults.take('hang')) return true;
    const fail = faults.take('fail');
    if (!fail) return false;
    const headers: Record<string, string> = fail.retryAfter === undefined ? {} : { 'retry-after': fail.retryAfter };
    sendJson(exchange, fail.status, dialect.failure(fail.status), headers);
    return true;
  }

  function control(exchange: Exchange): void {
    const { method, path, body } = exchange;
    if (path === '/__sim/faults' && method === 'POST') {
      try {
        faults.set(JSON.parse(body.toString('utf8')) as object);
      } catch (error) {
        return sendJson(exchange, 400, { error: String(error) });
      }
    }
    if (path === '/__sim/faults' && method === 'DELETE') faults.clear();
    if (path === '/__sim/crash' && method === 'POST') {
      sendJson(exchange, 200, {});
      return dialect.onCrash();
    }
    if (path === '/__sim/faults') return sendJson(exchange, 200, faults.current);
    if (path === '/__sim/requests') return sendJson(exchange, 200, seen);
    if (path === '/__sim/load') return sendJson(exchange, 200, dialect.load());
    sendJson(exchange, 404, { error: `there is no ${path}` });
  }

  const listen = (): void => {
    server.listen(dialect.port, dialect.host);
  };
  server.once('error', (error) => {
    write(`couldn't bind HTTP server socket: ${error.message}\n`);
    exit(1);
  });
  if (dialect.listensWhileLoading) listen();
  const loading = setTimeout(() => {
    dialect.onReady();
    if (!dialect.listensWhileLoading) listen();
  }, settings.startSeconds * 1000);

  let signals = 0;
  return {
    terminate: () => dialect.onTerminate(++signals),
    stop() {
      clearTimeout(loading);
      dialect.onKilled();
      server.closeAllConnections();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}
