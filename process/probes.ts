import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Registry } from 'prom-client';
import { errorMessage, UserError } from './errors.ts';

/** Why a process is not healthy or not ready, in words, or undefined when all is well. */
export type Check = () => string | undefined;

/** What `/healthz`, `/readyz` and `/metrics` of a process tell. */
export interface Probes {
  healthy: Check;
  ready: Check;
  registry: Registry;
}

/** Answers the three probe paths; false for any other path, which is then the caller's to answer. */
export function answerProbe(probes: Probes, request: IncomingMessage, response: ServerResponse): boolean {
  const path = request.url?.split('?', 1)[0];
  if (path === '/healthz') return answerCheck(response, probes.healthy());
  if (path === '/readyz') return answerCheck(response, probes.ready());
  if (path !== '/metrics') return false;
  probes.registry.metrics().then(
    (text) => response.writeHead(200, { 'content-type': probes.registry.contentType }).end(text),
    (error: unknown) => response.writeHead(500, { 'content-type': 'text/plain' }).end(errorMessage(error)),
  );
  return true;
}

/** A server for the probes alone. Rejects with a `UserError` that names the address when it can't listen there. */
export async function serveProbes(probes: Probes, address: ListenAddress): Promise<Server> {
  const server = createServer((request, response) => {
    if (!answerProbe(probes, request, response))
      response.writeHead(404, { 'content-type': 'text/plain' }).end('not found\n');
  });
  await listen(server, address);
  return server;
}

/** Where a server listens; port 0 takes a free one. */
export interface ListenAddress {
  host: string;
  port: number;
  /** The flag or setting to name when the address can't be used, e.g. `--port`. */
  setting: string;
}

/** Resolves with the port once the server listens; a busy or forbidden port is a `UserError` that names the setting. */
export async function listen(server: Server, { host, port, setting }: ListenAddress): Promise<number> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const why = error.code === 'EADDRINUSE' ? 'another process listens there' : errorMessage(error);
      reject(new UserError('CannotListen', `cannot listen on ${host}:${port}: ${why}; set ${setting} to a free port`));
    });
    // Node's own 511 makes a burst of clients wait until TCP tries again; the kernel has a limit besides.
    server.listen(port, host, 4096, resolve);
  });
  return (server.address() as AddressInfo).port;
}

function answerCheck(response: ServerResponse, problem: string | undefined): true {
  response.writeHead(problem === undefined ? 200 : 503, { 'content-type': 'text/plain' }).end(`${problem ?? 'ok'}\n`);
  return true;
}
