import type { Dispatcher } from 'undici';
import type { AnswerReader, Flow, Verdict } from '../answers/reader.ts';
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
  /** The other side sent its status: it is alive, whatever it says. */
  onHead: () => void;
}

/** One request to one upstream. Settles once: with a failure, or with undefined when the reader has its answer. */
export class Call implements Dispatcher.DispatchHandler, Flow {
  readonly done: Promise<Failure | undefined>;
  /** The connection's own words, for the log. */
  cause: Error | undefined;
  readonly #options: CallOptions;
  #settle!: (failure: Failure | undefined) => void;
  #settled = false;
  /** The upstream's answer has ended. */
  #ended = false;
  #controller: Dispatcher.DispatchController | undefined;
  #timer: NodeJS.Timeout | undefined;
  #idle = false;
  #status = 0;
  #retryAfter: string | undefined;
  #errorBody: Buffer[] = [];
  #errorBytes = 0;

  constructor(options: CallOptions) {
    this.#options = options;
    this.done = new Promise((resolve) => {
      this.#settle = resolve;
    });
  }

  start(): this {
    const { upstream, path, headers, body, firstByteMs, backend } = this.#options;
    if (firstByteMs !== undefined)
      this.#timer = setTimeout(() => this.fail(timedOut(backend, 'firstByte', firstByteMs)), firstByteMs);
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

  progressed(): void {
    if (this.#settled || this.#controller?.paused) return;
    if (this.#idle) {
      this.#timer?.refresh();
      return;
    }
    this.#idle = true;
    this.#armIdle();
  }

  pause(): void {
    clearTimeout(this.#timer);
    this.#controller?.pause();
  }

  resume(): void {
    if (this.#settled || !this.#controller?.paused) return;
    this.#armIdle();
    this.#controller.resume();
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
    onHead();
    if (!this.#successful()) {
      this.progressed();
      return;
    }
    const encoding = first(headers['content-encoding']) ?? 'identity';
    if (encoding !== 'identity') {
      this.#judge(invalidAnswer(backend, `sent a compressed answer (${encoding}) that nobody asked for`));
      return;
    }
    this.#judge(reader.begin(this, first(headers['content-type']) ?? ''));
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
    this.#ended = true;
    clearTimeout(this.#timer);
    if (this.#settled) return;
    if (!this.#successful()) this.#finish(this.#statusFailure());
    else this.#judge(this.#options.reader.end());
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    clearTimeout(this.#timer);
    this.#connectionFailed(error);
  }

  #connectionFailed(error: Error): void {
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
    if (this.#ended) return;
    // The answer is complete, and the connection good for another request as soon as the body ends; else it is not kept.
    this.#timer = setTimeout(() => this.#controller?.abort(new Error('the body did not end')), lingerMs).unref();
  }

  #finish(failure: Failure | undefined): void {
    if (this.#settled) return;
    this.#settled = true;
    clearTimeout(this.#timer);
    this.#settle(failure);
  }

  #armIdle(): void {
    const { idleMs, backend } = this.#options;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.fail(timedOut(backend, 'idle', idleMs)), idleMs);
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
