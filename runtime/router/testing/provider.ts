import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Resolve } from '../providers/guarded-connect.ts';
import type { Received, Script } from './engine.ts';

/** The name that a test's provider has a certificate for. */
export const providerHost = 'api.provider.test';

export interface TestProvider extends AsyncDisposable {
  baseUrl: string;
  /** The certificate, which is its own authority. */
  ca: string;
  received: Received[];
  connections: () => number;
}

/** An HTTPS server on loopback that is called by the name `api.provider.test`. */
export async function startProvider(script: Script): Promise<TestProvider> {
  const { key, cert } = certificate();
  const received: Received[] = [];
  let connections = 0;
  const server = createServer({ key, cert }, (request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const raw = Buffer.concat(chunks).toString();
      const body = JSON.parse(raw) as Record<string, unknown>;
      const got: Received = { path: request.url ?? '', headers: request.headers, raw, body, response, gone: false };
      received.push(got);
      void script(got);
    });
  });
  server.on('connection', () => connections++);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    baseUrl: `https://${providerHost}:${(server.address() as AddressInfo).port}/v1`,
    ca: cert,
    received,
    connections: () => connections,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** A name server that gives these answers in turn, the last one from then on. */
export function answering(...answers: readonly string[][]): Resolve & { asked: string[] } {
  const asked: string[] = [];
  const resolve: Resolve = (hostname, _options, callback) => {
    const addresses = answers[Math.min(asked.length, answers.length - 1)] as string[];
    asked.push(hostname);
    const found = addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }));
    setImmediate(() => callback(null, found));
  };
  return Object.assign(resolve, { asked });
}

/** A certificate, which is its own authority, and its key, in PEM. */
export interface Certificate {
  key: string;
  cert: string;
}

let made: Certificate | undefined;

/** The certificate of `api.provider.test`, the same for all tests of a process. */
export function certificate(): Certificate {
  return (made ??= makeCertificate());
}

/** Another certificate of the same name, which nobody trusts. */
export function makeCertificate(): Certificate {
  const dir = mkdtempSync(join(tmpdir(), 'cadre-provider-'));
  try {
    const [key, cert] = [join(dir, 'key.pem'), join(dir, 'cert.pem')];
    const kind = ['-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'];
    const names = ['-subj', `/CN=${providerHost}`, '-addext', `subjectAltName=DNS:${providerHost}`];
    execFileSync('openssl', ['req', ...kind, ...names, '-keyout', key, '-out', cert], { stdio: 'ignore' });
    return { key: readFileSync(key, 'utf8'), cert: readFileSync(cert, 'utf8') };
  } finally {
    rmSync(dir, { recursive: true });
  }
}
