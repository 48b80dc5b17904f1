import { createSecureContext } from 'node:tls';
import type { buildConnector as BuildConnector, Dispatcher, Pool as UndiciPool } from 'undici';
import type { Credentials, TlsMaterial } from './credentials.ts';
import { errorOfAnswer, KubeError } from './errors.ts';
import { buildConnector, Pool } from './undici.ts';

/** An idle connection is checked by TCP after so long; ten unanswered probes, one each second, end it. */
const keepAliveMs = 15_000;
/**
 * Much shorter than kube-apiserver's 90 s, so that no request meets a connection that the server is about to close, and few
 * meet one that died unseen, which costs them their time limit.
 */
const idleMs = 10_000;
const connectMs = 10_000;

export interface TransportOptions {
  /** e.g. `cadre-operator/0.1.0`. Default: `cadre`. */
  userAgent?: string;
  /** The most connections for calls; watches have one each beside them. Default: 16. */
  connections?: number;
}

/** One request, before it has an answer. */
export interface Request {
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** With the query, without the server's own path. */
  path: string;
  /** Must not wait behind other calls. */
  urgent?: boolean;
  contentType?: string;
  body?: string | undefined;
  /** What it is, for messages: `apply deployments prod/triage`. */
  call: string;
}

export interface Answer {
  status: number;
  body: string;
  retryAfter: string | undefined;
}

/**
 * HTTP to one API server, over HTTP/1.1: calls share a bounded number of kept connections, each watch has its own, and what
 * is urgent has one that nobody else uses. HTTP/2 would share one connection among all. Measured with undici 8.13, it costs
 * the same CPU for 1,000 applies, and an API server that was killed made it throw where nobody can catch it.
 */
export class Transport {
  readonly #calls: UndiciPool;
  readonly #urgent: UndiciPool;
  readonly #watches: UndiciPool;
  readonly #credentials: Credentials;
  readonly #prefix: string;
  readonly #userAgent: string;
  readonly host: string;
  #headers = new Map<string, string[]>();
  #headersFor: string | undefined;

  constructor(credentials: Credentials, options: TransportOptions) {
    const url = new URL(credentials.server);
    this.host = url.host;
    this.#prefix = url.pathname.replace(/\/+$/, '');
    this.#credentials = credentials;
    this.#userAgent = options.userAgent ?? 'cadre';
    const common = { allowH2: false, connect: rotatingConnector(credentials), keepAliveTimeout: idleMs };
    this.#calls = new Pool(url.origin, { ...common, connections: options.connections ?? 16 });
    this.#urgent = new Pool(url.origin, { ...common, connections: 1 });
    this.#watches = new Pool(url.origin, common);
  }

  /** The whole answer, whatever its status. Rejects with a `KubeError` when there is none within `timeoutMs`. */
  async send(request: Request, timeoutMs: number, signal?: AbortSignal): Promise<Answer> {
    const headers = await this.#headersOf(request);
    return new Promise((resolve, reject) => {
      const call = new Call(request.call, timeoutMs, signal, resolve, reject);
      const { method, body } = request;
      const path = this.#prefix + request.path;
      const pool = request.urgent ? this.#urgent : this.#calls;
      pool.dispatch({ method, path, headers, body: body ?? null, headersTimeout: 0, bodyTimeout: 0 }, call);
    });
  }

  /** An answer without an end: `handler` sees the chunks as they come. */
  async stream(request: Request, headersTimeout: number, handler: Dispatcher.DispatchHandler): Promise<void> {
    const headers = await this.#headersOf(request);
    const path = this.#prefix + request.path;
    this.#watches.dispatch({ method: request.method, path, headers, headersTimeout, bodyTimeout: 0 }, handler);
  }

  /** The server refused the credentials: the next request reads them again. */
  refreshCredentials(): void {
    this.#credentials.refresh();
  }

  /** Ends every connection at once; what is under way is rejected. */
  async close(): Promise<void> {
    await Promise.all([this.#calls.destroy(), this.#urgent.destroy(), this.#watches.destroy()]);
  }

  /** Headers by content type, made once for each token. */
  async #headersOf({ contentType = '' }: Request): Promise<string[]> {
    const pending = this.#credentials.authorization();
    const authorization = typeof pending === 'object' ? await pending : pending;
    if (authorization !== this.#headersFor) {
      this.#headers.clear();
      this.#headersFor = authorization;
    }
    let headers = this.#headers.get(contentType);
    if (!headers) {
      headers = ['accept', 'application/json', 'user-agent', this.#userAgent];
      if (contentType) headers.push('content-type', contentType);
      if (authorization !== undefined) headers.push('authorization', authorization);
      this.#headers.set(contentType, headers);
    }
    return headers;
  }
}

/** A connector that takes a rotated authority or client certificate with the next connection. */
function rotatingConnector(credentials: Credentials): BuildConnector.connector {
  let material: TlsMaterial | undefined;
  let connect: BuildConnector.connector;
  return (options, callback) => {
    try {
      const current = credentials.tls();
      if (current !== material) {
        material = current;
        const limits = { timeout: connectMs, keepAliveInitialDelay: keepAliveMs };
        // One context for all connections: making one costs 1 ms and 200 kB.
        const { servername, rejectUnauthorized, ...keys } = current;
        const secureContext = createSecureContext(keys);
        const checks = {
          ...(servername !== undefined && { servername }),
          ...(rejectUnauthorized !== undefined && { rejectUnauthorized }),
        };
        connect = buildConnector({ ...checks, secureContext, ...limits, allowH2: false });
      }
    } catch (error) {
      callback(error instanceof Error ? error : new Error(String(error)), null);
      return;
    }
    connect(options, callback);
  };
}

/** Collects one answer. Settles exactly once: by the answer, an error, the time limit or the caller's signal. */
class Call implements Dispatcher.DispatchHandler {
  readonly #call: string;
  readonly #resolve: (answer: Answer) => void;
  readonly #reject: (error: KubeError) => void;
  readonly #timer: NodeJS.Timeout;
  readonly #signal: AbortSignal | undefined;
  #controller: Dispatcher.DispatchController | undefined;
  #settled = false;
  #status = 0;
  #retryAfter: string | undefined;
  #chunks: Buffer[] = [];

  constructor(
    call: string,
    timeoutMs: number,
    signal: AbortSignal | undefined,
    resolve: (answer: Answer) => void,
    reject: (error: KubeError) => void,
  ) {
    this.#call = call;
    this.#resolve = resolve;
    this.#reject = reject;
    this.#timer = setTimeout(this.#expire, timeoutMs, timeoutMs);
    this.#signal = signal;
    signal?.addEventListener('abort', this.#abort, { once: true });
    if (signal?.aborted) this.#abort();
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#settled) controller.abort(new Error('given up'));
  }

  onResponseStart(_: Dispatcher.DispatchController, status: number, headers: Record<string, unknown>): void {
    this.#status = status;
    const retryAfter = headers['retry-after'];
    if (typeof retryAfter === 'string') this.#retryAfter = retryAfter;
  }

  onResponseData(_: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#chunks.push(chunk);
  }

  onResponseEnd(): void {
    if (!this.#settle()) return;
    const { length } = this.#chunks;
    const body =
      length === 0 ? '' : ((length === 1 ? this.#chunks[0] : undefined) ?? Buffer.concat(this.#chunks)).toString();
    this.#resolve({ status: this.#status, body, retryAfter: this.#retryAfter });
  }

  onResponseError(_: Dispatcher.DispatchController, cause: Error): void {
    if (!this.#settle()) return;
    this.#reject(connectionError(this.#call, this.#controller !== undefined, cause));
  }

  #expire = (timeoutMs: number): void => {
    const started = this.#controller !== undefined;
    this.#giveUp(
      new KubeError(
        started ? 'TimedOut' : 'ConnectFailed',
        `${this.#call}: no ${started ? 'answer' : 'connection'} within ${timeoutMs / 1000} s`,
      ),
    );
  };

  #abort = (): void => this.#giveUp(new KubeError('Aborted', `${this.#call}: aborted`));

  #giveUp(error: KubeError): void {
    if (!this.#settle()) return;
    this.#reject(error);
    this.#controller?.abort(error);
  }

  #settle(): boolean {
    if (this.#settled) return false;
    this.#settled = true;
    clearTimeout(this.#timer);
    this.#signal?.removeEventListener('abort', this.#abort);
    return true;
  }
}

/** What to call it when a connection fails: `started` says whether the request may have been sent. */
export function connectionError(call: string, started: boolean, cause: Error): KubeError {
  const code = (cause as NodeJS.ErrnoException).code;
  const why = cause.message || code || cause.name;
  return started
    ? new KubeError('ConnectionLost', `${call}: the connection broke: ${why}`, { cause })
    : new KubeError('ConnectFailed', `${call}: cannot connect: ${why}`, { cause });
}

/** The parsed body of a good answer; a `KubeError` for any other. */
export function parseAnswer(call: string, { status, body, retryAfter }: Answer, parse = JSON.parse): unknown {
  if (status < 200 || status > 299) throw errorOfAnswer(call, status, body, retryAfter);
  try {
    return parse(body) as unknown;
  } catch (cause) {
    throw new KubeError('BadAnswer', `${call}: the answer is not JSON: ${body.slice(0, 100)}`, { status, cause });
  }
}
