import type { Dispatcher } from 'undici';
import { errorOfAnswer, errorOfStatus, KubeError } from './errors.ts';
import { parseWithoutManagedFields } from './managed-fields.ts';
import { connectionError, type Request, type Transport } from './transport.ts';
import type { KubeObject, WatchEvent } from './types.ts';

/** One line of a watch. */
interface WireEvent<T> {
  type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK' | 'ERROR';
  object: T;
}

/** More events than this wait for the reader before the connection is paused; fewer than the second, and it goes on. */
const pauseAt = 1000;
const resumeAt = 200;
const headersMs = 30_000;
const newline = 0x0a;
const nothing = Buffer.alloc(0);

/**
 * One watch. Ends when the server ends it or the signal aborts; throws a `KubeError` when the server refuses it, sends an
 * ERROR event, or the connection breaks. Events that came before are delivered first.
 */
export class WatchStream<T extends KubeObject>
  implements AsyncIterableIterator<WatchEvent<T>>, Dispatcher.DispatchHandler
{
  readonly #call: string;
  readonly #signal: AbortSignal;
  readonly #onStatus: (status: number) => void;
  #controller: Dispatcher.DispatchController | undefined;
  #status = 0;
  #retryAfter: string | undefined;
  #rest: Buffer = nothing;
  #events: WatchEvent<T>[] = [];
  #next = 0;
  #paused = false;
  #ended = false;
  #error: KubeError | undefined;
  #wake: (() => void) | undefined;

  constructor(transport: Transport, request: Request, signal: AbortSignal, onStatus: (status: number) => void) {
    this.#call = request.call;
    this.#signal = signal;
    this.#onStatus = onStatus;
    if (signal.aborted) {
      this.#ended = true;
      return;
    }
    signal.addEventListener('abort', this.#stop, { once: true });
    transport.stream(request, headersMs, this).catch((cause: unknown) => {
      this.#end(
        cause instanceof KubeError
          ? cause
          : new KubeError('ConnectFailed', `${this.#call}: ${String(cause)}`, { cause }),
      );
    });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async next(): Promise<IteratorResult<WatchEvent<T>>> {
    for (;;) {
      const event = this.#events[this.#next];
      if (event) {
        this.#next++;
        if (this.#next === this.#events.length) {
          this.#events = [];
          this.#next = 0;
        }
        if (this.#paused && this.#events.length - this.#next < resumeAt) {
          this.#paused = false;
          this.#controller?.resume();
        }
        return { value: event, done: false };
      }
      if (this.#ended) {
        if (this.#error && !this.#signal.aborted) throw this.#error;
        return { value: undefined, done: true };
      }
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  return(): Promise<IteratorResult<WatchEvent<T>>> {
    this.#stop();
    return Promise.resolve({ value: undefined, done: true });
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#ended) controller.abort(new Error('watch stopped'));
  }

  onResponseStart(_: Dispatcher.DispatchController, status: number, headers: Record<string, unknown>): void {
    this.#status = status;
    const retryAfter = headers['retry-after'];
    if (typeof retryAfter === 'string') this.#retryAfter = retryAfter;
    this.#onStatus(status);
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#status !== 200) {
      this.#rest = Buffer.concat([this.#rest, chunk]);
      return;
    }
    try {
      this.#parse(chunk);
    } catch (cause) {
      const error = cause instanceof KubeError ? cause : this.#badLine(cause);
      this.#end(error);
      controller.abort(error);
      return;
    }
    if (!this.#paused && this.#events.length - this.#next > pauseAt) {
      this.#paused = true;
      controller.pause();
    }
  }

  onResponseEnd(): void {
    this.#end(
      this.#status === 200
        ? undefined
        : errorOfAnswer(this.#call, this.#status, this.#rest.toString(), this.#retryAfter),
    );
  }

  onResponseError(_: Dispatcher.DispatchController, cause: Error): void {
    if (this.#controller === undefined) this.#onStatus(0);
    this.#end(connectionError(this.#call, this.#controller !== undefined, cause));
  }

  #parse(chunk: Buffer): void {
    let start = 0;
    for (let end = chunk.indexOf(newline); end !== -1; end = chunk.indexOf(newline, start)) {
      let line = chunk.subarray(start, end);
      if (this.#rest.length > 0) {
        line = Buffer.concat([this.#rest, line]);
        this.#rest = nothing;
      }
      start = end + 1;
      if (line.length > 0) this.#push(parseWithoutManagedFields(line.toString()) as WireEvent<T>);
    }
    if (start === chunk.length) return;
    // A copy: the chunk belongs to the connection's buffer.
    const rest = chunk.subarray(start);
    this.#rest = this.#rest.length > 0 ? Buffer.concat([this.#rest, rest]) : Buffer.from(rest);
  }

  #push({ type, object }: WireEvent<T>): void {
    switch (type) {
      case 'ADDED':
      case 'MODIFIED':
      case 'DELETED':
        this.#events.push({ type, object });
        break;
      case 'BOOKMARK':
        this.#events.push({ type, resourceVersion: object.metadata.resourceVersion ?? '' });
        break;
      case 'ERROR':
        throw errorOfStatus(this.#call, object);
      default:
        throw new KubeError('BadAnswer', `${this.#call}: unknown event type ${JSON.stringify(type)}`);
    }
    this.#wake?.();
  }

  #badLine(cause: unknown): KubeError {
    return new KubeError('BadAnswer', `${this.#call}: a line is not a watch event`, { status: this.#status, cause });
  }

  #stop = (): void => {
    this.#end();
    this.#controller?.abort(new Error('watch stopped'));
  };

  #end(error?: KubeError): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#error = error;
    this.#rest = nothing;
    this.#signal.removeEventListener('abort', this.#stop);
    this.#wake?.();
  }
}
