import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import {
  createSecureServer,
  type Http2ServerRequest,
  type Http2ServerResponse,
  type ServerHttp2Session,
} from 'node:http2';
import { type AddressInfo, connect, createServer as createTcpServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
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
  http: string;
}

export interface Reply {
  /** A whole answer. */
  json(status: number, body: unknown, headers?: Record<string, string>): void;
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
  sessions: ServerHttp2Session[];
  /** From now on bytes vanish both ways and nothing is closed, as with a dead network; new connections are fine. */
  freeze(): void;
  close(): Promise<void>;
}

export async function scriptedServer(script: Script, options: { h2?: boolean } = {}): Promise<ScriptedServer> {
  const asked: Asked[] = [];
  const sessions: ServerHttp2Session[] = [];
  const connections: unknown[] = [];
  const sockets = new Set<Socket>();
  const handle = (
    request: IncomingMessage | Http2ServerRequest,
    response: ServerResponse | Http2ServerResponse,
  ): void => {
    const socket = 'stream' in request ? request.stream.session : request.socket;
    if (!connections.includes(socket)) connections.push(socket);
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
        connection: connections.indexOf(socket),
        http: request.httpVersion,
      };
      asked.push(one);
      void script(one, replyOf(request, response));
    });
  };

  let server: Server;
  let ca: Buffer | undefined;
  if (options.h2) {
    const { key, cert } = selfSigned();
    ca = cert;
    const secure = createSecureServer({ allowHTTP1: true, key, cert }, handle);
    secure.on('session', (session) => {
      sessions.push(session);
      session.on('error', () => undefined);
    });
    server = secure;
  } else {
    server = createServer(handle);
  }
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
    sessions,
    credentials: {
      server: `${options.h2 ? 'https' : 'http'}://127.0.0.1:${port}`,
      tls: () => (ca ? { ca } : {}),
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

function replyOf(request: IncomingMessage | Http2ServerRequest, either: ServerResponse | Http2ServerResponse): Reply {
  // The two have these methods in common, with types that do not say so.
  const response = either as ServerResponse;
  const write = (bytes: string | Buffer): void => void response.write(bytes);
  return {
    json(status, body, headers = {}) {
      response.writeHead(status, { 'content-type': 'application/json', ...headers });
      response.end(JSON.stringify(body));
    },
    stream() {
      response.writeHead(200, { 'content-type': 'application/json' });
      if (!('stream' in response)) response.flushHeaders();
    },
    write,
    event: (type, object) => write(`${JSON.stringify({ type, object })}\n`),
    end: () => void response.end(),
    reset() {
      const socket = 'stream' in request ? request.stream.session?.socket : request.socket;
      socket?.destroy();
    },
  };
}

function listening(server: Server): Promise<void> {
  return new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
}

let pair: { key: Buffer; cert: Buffer } | undefined;

function selfSigned(): { key: Buffer; cert: Buffer } {
  if (pair) return pair;
  const dir = mkdtempSync(join(tmpdir(), 'cadre-tls-'));
  const [key, cert] = [join(dir, 'key.pem'), join(dir, 'cert.pem')];
  const request = ['req', '-x509', '-nodes', '-days', '2', '-subj', '/CN=loopback', '-newkey', 'ec'];
  const curve = ['-pkeyopt', 'ec_paramgen_curve:P-256', '-addext', 'subjectAltName=IP:127.0.0.1'];
  execFileSync('openssl', [...request, ...curve, '-keyout', key, '-out', cert], { stdio: 'ignore' });
  pair = { key: readFileSync(key), cert: readFileSync(cert) };
  rmSync(dir, { recursive: true });
  return pair;
}
