import { createServer, type IncomingHttpHeaders, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { until } from '../../../process/testing/waiting.ts';

/** A request as an engine got it. */
export interface Received {
  path: string;
  headers: IncomingHttpHeaders;
  raw: string;
  body: Record<string, unknown>;
  response: ServerResponse;
  /** The router has left. */
  gone: boolean;
}

/** What an engine of a test does with a request. */
export type Script = (received: Received) => void | Promise<void>;

/** An HTTP server on loopback that answers as its test says: the router's view of an engine, faults included. */
export class TestEngine {
  readonly received: Received[] = [];
  script: Script;
  #server: Server;
  readonly #sockets = new Set<Socket>();

  constructor(script: Script) {
    this.script = script;
    this.#server = createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        const raw = Buffer.concat(chunks).toString();
        const body = JSON.parse(raw) as Record<string, unknown>;
        const { url = '', headers } = request;
        const received: Received = { path: url, headers, raw, body, response, gone: false };
        response.on('close', () => {
          received.gone = !response.writableFinished;
        });
        this.received.push(received);
        void this.script(received);
      });
    });
    this.#server.on('connection', (socket) => {
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
    });
  }

  async start(host = '127.0.0.1'): Promise<this> {
    await new Promise<void>((resolve) => this.#server.listen(0, host, resolve));
    return this;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get origin(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  get last(): Received {
    const last = this.received.at(-1);
    if (!last) throw new Error('the engine got no request');
    return last;
  }

  /** As a process that is killed: every connection is reset, the port refuses. */
  async kill(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    for (const socket of this.#sockets) socket.resetAndDestroy();
    await closed;
  }

  async waitForRequests(count: number): Promise<void> {
    await until(`${count} requests at the engine`, () => this.received.length >= count);
  }
}

/** Starts an engine and stops it when the test ends: `await using engine = await startEngine(…)`. */
export async function startEngine(script: Script, host?: string): Promise<TestEngine & AsyncDisposable> {
  const engine = await new TestEngine(script).start(host);
  return Object.assign(engine, { [Symbol.asyncDispose]: () => engine.kill() });
}

/** Answers with JSON. */
export function json(value: unknown, status = 200, headers: Record<string, string> = {}): Script {
  return ({ response }) => {
    response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(value));
  };
}

/** The text of a stream: each value an event, then `[DONE]`. */
export function events(...values: unknown[]): string {
  return [...values, '[DONE]'].map(event).join('');
}

export function event(value: unknown): string {
  return `data: ${typeof value === 'string' ? value : JSON.stringify(value)}\n\n`;
}

/** Answers with a stream of this text. */
export function stream(text: string): Script {
  return ({ response }) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' }).end(text);
  };
}

export function reset({ response }: Received): void {
  (response.socket as Socket).resetAndDestroy();
}
