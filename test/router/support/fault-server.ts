import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import { until } from '../../../process/testing/waiting.ts';

/** One request as it came over a raw connection. */
export interface Got {
  socket: Socket;
  /** Request line and headers. */
  head: string;
  body: string;
}

/** What a server does with a request: it may write anything at all. */
export type Fault = (got: Got) => void;

export interface FaultServerOptions {
  /** Speaks TLS with this certificate. */
  tls?: { key: string; cert: string } | undefined;
  /** Called for each connection before anything is read of it; true: nothing is. */
  onConnection?: (socket: Socket) => boolean;
}

/** A server that is scripted byte by byte, as no HTTP library would let one answer, and that counts who is connected. */
export class FaultServer implements AsyncDisposable {
  readonly requests: Got[] = [];
  /** Connections that were ever made, and those that there are. */
  connections = 0;
  readonly open = new Set<Socket>();
  readonly #server: Server;

  constructor(fault: Fault, { tls, onConnection }: FaultServerOptions = {}) {
    const serve = (socket: Socket): void => {
      socket.on('error', () => undefined); // that the router breaks off is what is tested
      if (onConnection?.(socket)) return;
      readRequests(socket, (got) => {
        this.requests.push(got);
        fault(got);
      });
    };
    this.#server = tls ? createTlsServer(tls, serve) : createServer(serve);
    this.#server.on('connection', (socket: Socket) => {
      this.connections++;
      this.open.add(socket);
      socket.on('error', () => undefined); // as above, during a handshake
      socket.on('close', () => this.open.delete(socket));
    });
  }

  async start(): Promise<this> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    return this;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get origin(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** Resolves when the other side has let go of every connection. */
  async untilLeft(): Promise<void> {
    await until('every connection is closed', () => this.open.size === 0);
  }

  /** Refuses connections from here on, and ends those that there are. */
  async stop(): Promise<void> {
    if (!this.#server.listening) return;
    const closed = new Promise((resolve) => this.#server.close(resolve));
    for (const socket of this.open) socket.destroy();
    await closed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}

/** Breaks a connection off as a process does that is killed: with a reset, over TLS with an end that was not announced. */
export function breakOff(socket: Socket): void {
  if ('encrypted' in socket) socket.destroy();
  else socket.resetAndDestroy();
}

/** The bytes of an answer. Its length is told unless `headers` tell otherwise. */
export function http(status: number | string, headers: Readonly<Record<string, string>>, body: string): string {
  const told = Object.keys(headers).some((name) => /^(content-length|transfer-encoding|connection)$/i.test(name));
  const all = told ? headers : { ...headers, 'content-length': String(Buffer.byteLength(body)) };
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
  return `HTTP/1.1 ${typeof status === 'number' ? `${status} Status` : status}\r\n${lines.join('')}\r\n${body}`;
}

/** Reads requests that tell the length of their body, one after the other. */
function readRequests(socket: Socket, onRequest: (got: Got) => void): void {
  let bytes = Buffer.alloc(0);
  socket.on('data', (chunk: Buffer) => {
    bytes = Buffer.concat([bytes, chunk]);
    for (;;) {
      const headEnd = bytes.indexOf('\r\n\r\n');
      if (headEnd < 0) return;
      const head = bytes.toString('latin1', 0, headEnd);
      const end = headEnd + 4 + Number(/^content-length: *(\d+)/im.exec(head)?.[1] ?? 0);
      if (bytes.length < end) return;
      const body = bytes.toString('utf8', headEnd + 4, end);
      bytes = bytes.subarray(end);
      onRequest({ socket, head, body });
    }
  });
}
