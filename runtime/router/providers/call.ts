import type { Dispatcher } from 'undici';
import type { AnswerReader, Flow, Verdict } from '../answers/reader.ts';
import { type Timed, unwatch, watch } from './deadlines.ts';
import { connectionFailure, type Failure, invalidAnswer, timedOut } from './failure.ts';
import { statusFailure } from './upstream-error.ts';
import type { Upstream } from './upstreams.ts';

/** Bytes of an error's body that are read. */
const maxErrorBytes = 64 * 1024;
/** How long a connection may take to end an answer that was complete already, in ms. */
const lingerMs = 1_000;

export interface CallOptions {
  upstream: Upstream;
  /** The backend's name, for messages. */
  backend: string;
  path: string;
  /** Names and values in turn. */
  headers: string[];
  body: Buffer;
  reader: AnswerReader;
  /** Undefined where the first byte comes with the last. */
  firstByteMs: number | undefined;
  idleMs: number;
  totalMs: number;
  /** When all attempts have to be over, by `performance.now()`. */
  totalAt: number;
  /** The other side sent a status by which it serves, whatever it thinks of the request. */
  onHead: () => void;
  /** The answer, and no error, has begun. */
  onBegin?: (() => void) | undefined;
}

/** What a call waits for. `Client`: for nothing but the client, which has a time of its own. `End`: the answer is complete. */
type Phase = 'FirstByte' | 'Next' | 'Client' | 'End';

/** One request to one upstream. Settles once: with a failure, or with undefined when the reader has its answer. */
export class Call implements Dispatcher.DispatchHandler, Flow, Timed {
  readonly done: Promise<Failure | undefined>;
  dueAt: number;
  /** The connection's own words, for the log. */
  cause: Error | undefined;
  readonly #options: CallOptions;
  #settle!: (failure: Failure | undefined) => void;
  #settled = false;
  #phase: Phase = 'FirstByte';
  #controller: Dispatcher.DispatchController | undefined;
  #status = 0;
  #retryAfter: string | undefined;
  #errorBody: Buffer[] = [];
  #errorBytes = 0;

  constructor(options: CallOptions) {
    this.#options = options;
    this.dueAt = Math.min(options.totalAt, performance.now() + (options.firstByteMs ?? Number.POSITIVE_INFINITY));
    this.done = new Promise((resolve) => {
      this.#settle = resolve;
    });
  }

  start(): this {
    const { upstream, path, headers, body } = this.#options;
    watch(this);
    try {
      upstream.dispatcher.dispatch({ method: 'POST', path, headers, body }, this);
    } catch (error) {
      this.#connectionFailed(error as Error); // a pool that has been closed
    }
    return this;
  }

  /** Ends the call from our side; the upstream sees the connection break. */
  fail(failure: Failure): void {
    this.#finish(failure);
    this.#controller?.abort(new Error(failure.reason));
  }

  overdue(): void {
    const { backend, firstByteMs = 0, idleMs, totalMs, totalAt } = this.#options;
    if (this.#phase === 'End') this.#controller?.abort(new Error('the body did not end'));
    else if (performance.now() >= totalAt) this.fail(timedOut(backend, 'total', totalMs));
    else if (this.#phase === 'FirstByte') this.fail(timedOut(backend, 'firstByte', firstByteMs));
    else this.fail(timedOut(backend, 'idle', idleMs));
  }

  progressed(): void {
    if (this.#phase === 'Client' || this.#phase === 'End') return;
    if (this.#phase === 'FirstByte' && this.#successful()) this.#options.onBegin?.();
    this.#phase = 'Next';
    this.dueAt = Math.min(this.#options.totalAt, performance.now() + this.#options.idleMs);
  }

  pause(): void {
    this.#phase = 'Client';
    this.dueAt = this.#options.totalAt;
    this.#controller?.pause();
  }

  resume(): void {
    if (this.#settled || this.#phase !== 'Client') return;
    this.#phase = 'Next';
    this.progressed();
    this.#controller?.resume();
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#settled) controller.abort(new Error('no longer wanted'));
  }

  onResponseStart(
    _controller: Dispatcher.DispatchController,
    status: number,
    headers: Record<string, string | string[] | undefined>,
  ): void {
    if (this.#settled || status < 200) return;
    const { reader, onHead, backend } = this.#options;
    this.#status = status;
    this.#retryAfter = first(headers['retry-after']);
    if (status < 500 && status !== 429) onHead();
    if (!this.#successful()) {
      this.progressed();
      return;
    }
    const encoding = first(headers['content-encoding']) ?? 'identity';
    if (encoding === 'identity') this.#judge(reader.begin(this, first(headers['content-type']) ?? ''));
    else this.fail(invalidAnswer(backend, `sent a compressed answer (${encoding}) that nobody asked for`));
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#settled) return;
    if (this.#successful()) {
      this.#judge(this.#options.reader.data(chunk));
      return;
    }
    this.progressed();
    if (this.#errorBytes + chunk.length > maxErrorBytes) {
      this.fail(this.#statusFailure());
      return;
    }
    this.#errorBytes += chunk.length;
    this.#errorBody.push(chunk);
  }

  onResponseEnd(): void {
    unwatch(this);
    if (this.#settled) return;
    if (!this.#successful()) {
      this.#finish(this.#statusFailure());
      return;
    }
    const ended = this.#options.reader.end();
    this.#finish(ended === 'Complete' ? undefined : ended);
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    this.#connectionFailed(error);
  }

  #connectionFailed(error: Error): void {
    unwatch(this);
    if (this.#settled) return;
    this.cause = error;
    this.#finish(connectionFailure(this.#options.backend, error));
  }

  #judge(verdict: Verdict): void {
    if (verdict === undefined) return;
    if (verdict !== 'Complete') {
      this.fail(verdict);
      return;
    }
    this.#finish(undefined);
    // The connection is good for another request as soon as the body ends; if that takes long, it is not kept.
    this.#phase = 'End';
    this.dueAt = performance.now() + lingerMs;
    watch(this);
  }

  #finish(failure: Failure | undefined): void {
    if (this.#settled) return;
    this.#settled = true;
    unwatch(this);
    this.#settle(failure);
  }

  #successful(): boolean {
    return this.#status >= 200 && this.#status < 300;
  }

  #statusFailure(): Failure {
    const body = Buffer.concat(this.#errorBody).toString();
    return statusFailure(this.#options.backend, this.#status, body, this.#retryAfter);
  }
}

function first(header: string | string[] | undefined): string | undefined {
  return Array.isArray(header) ? header[0] : header;
}
