import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { type AddressInfo, connect, createServer as createTcpServer, type Server, type Socket } from 'node:net';
import type { Credentials } from '../credentials.ts';

/** One request that the script answers. */
export interface Asked {
  method: string;
  /** Path without the query. */
  path: string;
  query: URLSearchParams;
  headers: Record<string, string | string[] | undefined>;
  body: string;
  /** Which connection it came by, counted from 0. */
  connection: number;
}

export interface Reply {
  /** A whole answer. */
  json(status: number, body: unknown, headers?: Record<string, string>): void;
  /** A whole answer that no API server gives. */
  text(status: number, body: string): void;
  /** Begins a watch. */
  stream(): void;
  /** A part of a watch, as it stands. */
  write(bytes: string | Buffer): void;
  /** A watch event. */
  event(type: string, object: unknown): void;
  end(): void;
  /** Cuts the TCP connection. */
  reset(): void;
}

export type Script = (asked: Asked, reply: Reply) => void | Promise<void>;

/** A server on loopback that answers by a script: for what a real API server does only on bad days. */
export interface ScriptedServer {
  credentials: Credentials;
  asked: Asked[];
  /** From now on the bytes of the connections that there are vanish both ways; new ones are fine. */
  freeze(): void;
  close(): Promise<void>;
}

export async function scriptedServer(script: Script): Promise<ScriptedServer> {
  const asked: Asked[] = [];
  const connections: unknown[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((request, response) => {
    if (!connections.includes(request.socket)) connections.push(request.socket);
    const chunks: Buffer[] = [];
    request.on('error', () => undefined);
    response.on('error', () => undefined);
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const url = new URL(request.url ?? '/', 'http://loopback');
      const one: Asked = {
        method: request.method ?? '',
        path: url.pathname,
        query: url.searchParams,
        headers: request.headers,
        body: Buffer.concat(chunks).toString(),
        connection: connections.indexOf(request.socket),
      };
      asked.push(one);
      void script(one, replyOf(request, response));
    });
  });
  await listening(server);

  const relay = createTcpServer((socket) => {
    const to = connect((server.address() as AddressInfo).port, '127.0.0.1');
    for (const [one, other] of [
      [socket, to],
      [to, socket],
    ] as const) {
      sockets.add(one);
      one.on('error', () => other.destroy()).on('close', () => other.destroy());
      one.pipe(other);
    }
  });
  await listening(relay);
  const { port } = relay.address() as AddressInfo;

  return {
    asked,
    credentials: {
      server: `http://127.0.0.1:${port}`,
      tls: () => ({}),
      authorization: () => undefined,
      refresh: () => undefined,
      namespace: 'default',
    },
    freeze() {
      for (const socket of sockets) {
        socket.unpipe();
        socket.pause();
      }
    },
    async close() {
      for (const socket of sockets) socket.destroy();
      await Promise.all([relay, server].map((one) => new Promise((resolve) => one.close(resolve))));
    },
  };
}

function replyOf(request: IncomingMessage, response: ServerResponse): Reply {
  const write = (bytes: string | Buffer): void => void response.write(bytes);
  return {
    json(status, body, headers = {}) {
      response.writeHead(status, { 'content-type': 'application/json', ...headers });
      response.end(JSON.stringify(body));
    },
    text: (status, body) => void response.writeHead(status, { 'content-type': 'text/html' }).end(body),
    stream() {
      response.writeHead(200, { 'content-type': 'application/json' });
      response.flushHeaders();
    },
    write,
    event: (type, object) => write(`${JSON.stringify({ type, object })}\n`),
    end: () => void response.end(),
    reset: () => void request.socket.destroy(),
  };
}

function listening(server: Server): Promise<void> {
  return new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
}
