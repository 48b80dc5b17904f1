import { readFile } from 'node:fs/promises';
import { request } from 'node:https';
import type { KeyPair } from './pki.ts';

/** What a client needs to be known to kube-apiserver, PEM. */
export interface ClientTls {
  ca: Buffer;
  cert: Buffer;
  key: Buffer;
}

export async function readTls(caFile: string, pair: KeyPair): Promise<ClientTls> {
  const [ca, cert, key] = await Promise.all([readFile(caFile), readFile(pair.cert), readFile(pair.key)]);
  return { ca, cert, key };
}

/** Asks once, over a connection of its own; undefined when nothing answers within five seconds. */
export function probe(url: string, tls: ClientTls): Promise<{ status: number; body: string } | undefined> {
  return new Promise((resolve) => {
    const asked = request(url, { ...tls, agent: false, timeout: 5000 }, (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (chunk: string) => (body += chunk));
      response.once('error', () => resolve(undefined));
      response.once('end', () => resolve({ status: response.statusCode ?? 0, body }));
    });
    asked.once('error', () => resolve(undefined)).once('timeout', () => asked.destroy());
    asked.end();
  });
}
