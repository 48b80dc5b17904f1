import { readFile } from 'node:fs/promises';
import { Pool } from 'undici';

/** Where a control plane is and who may do everything there. */
export interface Access {
  url: string;
  caFile: string;
  adminCert: string;
  adminKey: string;
}

export interface ApiAnswer {
  metadata: { name: string; uid: string; resourceVersion: string; generation?: number };
  [field: string]: unknown;
}

/** The API server, bare: what is sent is what is measured. */
export interface Api {
  text(method: string, path: string, body?: string, contentType?: string): Promise<string>;
  send(method: string, path: string, body?: unknown, contentType?: string): Promise<ApiAnswer>;
  /** Objects of a collection, counted without reading them. */
  count(path: string): Promise<number>;
  /** Each event of a watch, until the signal aborts. */
  watch(path: string, signal: AbortSignal, event: (type: string, object: ApiAnswer) => void): Promise<void>;
  close(): Promise<void>;
}

export const applyType = 'application/apply-patch+yaml';

export async function openApi({ url, caFile, adminCert, adminKey }: Access, connections: number): Promise<Api> {
  const [ca, cert, key] = await Promise.all([readFile(caFile), readFile(adminCert), readFile(adminKey)]);
  const pool = new Pool(url, {
    connections,
    pipelining: 1,
    allowH2: false,
    bodyTimeout: 0,
    connect: { ca, cert, key },
  });

  async function text(method: string, path: string, body?: string, contentType = 'application/json'): Promise<string> {
    const request = { method, path, headers: { 'content-type': contentType, accept: 'application/json' } };
    const answer = await pool.request(body === undefined ? request : { ...request, body });
    const content = await answer.body.text();
    if (answer.statusCode >= 300) throw new Error(`${method} ${path}: ${answer.statusCode} ${content}`);
    return content;
  }

  async function send(method: string, path: string, body?: unknown, contentType?: string): Promise<ApiAnswer> {
    return JSON.parse(
      await text(method, path, body === undefined ? body : JSON.stringify(body), contentType),
    ) as ApiAnswer;
  }

  return {
    text,
    send,
    async count(path) {
      const { items, metadata } = (await send('GET', `${path}?limit=1`)) as unknown as {
        items: unknown[];
        metadata: { remainingItemCount?: number };
      };
      return items.length + (metadata.remainingItemCount ?? 0);
    },
    async watch(path, signal, event) {
      const { body } = await pool.request({ method: 'GET', path, signal, headers: { accept: 'application/json' } });
      let rest = '';
      try {
        for await (const chunk of body.setEncoding('utf8') as AsyncIterable<string>) {
          const lines = (rest + chunk).split('\n');
          rest = lines.pop() ?? '';
          for (const line of lines) {
            const { type, object } = JSON.parse(line) as { type: string; object: ApiAnswer };
            event(type, object);
          }
        }
      } catch (error) {
        if (!signal.aborted) throw error;
      }
    },
    close: () => pool.destroy(),
  };
}
