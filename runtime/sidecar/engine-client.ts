import { type IncomingMessage, request } from 'node:http';
import { errorMessage } from '../../process/errors.ts';
import type { Engine, WarmUpRequest } from './engines/engine.ts';

/** What one look at the engine showed. */
export type Look =
  /** Healthy; its metrics, when they could be read. */
  | { kind: 'Up'; metrics: string | undefined }
  /** Nothing listens. */
  | { kind: 'Gone' }
  /** It answers, but not that it is well: loading, or its core died. */
  | { kind: 'Unwell'; status: number }
  /** No answer in time, or a broken one. */
  | { kind: 'Silent'; problem: string };

export interface EngineClient {
  look(): Promise<Look>;
  /** The engine's metrics as they are. Rejects when they can't be read in time. */
  metrics(): Promise<{ text: string; contentType: string }>;
  /** Requests in flight; `Gone` when nothing listens; undefined when it can't be known. */
  inFlight(): Promise<number | 'Gone' | undefined>;
  /** Rejects when the engine does not answer at all. */
  post(request: WarmUpRequest, signal: AbortSignal): Promise<{ status: number; text: string }>;
}

/** Longest answer that is read. */
const maxBytes = 16 * 2 ** 20;

/**
 * A client of the engine in the same pod. Node's own, for undici would cost each model's pod 30 MB; a connection for each
 * request, for engines close idle ones and none must meet that moment.
 */
export function engineClient(url: string, engine: Engine, probeTimeoutMs: number): EngineClient {
  const base = url.replace(/\/+$/, '');
  const get = (path: string): Promise<Answer> => send(`${base}${path}`, undefined, AbortSignal.timeout(probeTimeoutMs));

  async function metrics(): Promise<{ text: string; contentType: string }> {
    const { status, text, contentType } = await get('/metrics');
    if (status !== 200) throw new Error(`the engine answers ${status} to /metrics`);
    return { text, contentType };
  }

  return {
    metrics,
    async look() {
      try {
        const { status } = await get(engine.healthPath);
        if (status !== 200) return { kind: 'Unwell', status };
      } catch (error) {
        return isRefused(error) ? { kind: 'Gone' } : { kind: 'Silent', problem: errorMessage(error) };
      }
      const read = await metrics().catch(() => undefined);
      return { kind: 'Up', metrics: read?.text };
    },
    async inFlight() {
      try {
        return engine.inFlight((await metrics()).text);
      } catch (error) {
        return isRefused(error) ? 'Gone' : undefined;
      }
    },
    post: ({ path, body }, signal) => send(`${base}${path}`, JSON.stringify(body), signal),
  };
}

interface Answer {
  status: number;
  text: string;
  contentType: string;
}

function send(url: string, body: string | undefined, signal: AbortSignal): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const method = body === undefined ? 'GET' : 'POST';
    const headers = body === undefined ? {} : { 'content-type': 'application/json' };
    const answered = async (response: IncomingMessage): Promise<Answer> => {
      const { statusCode = 0, headers: got } = response;
      return { status: statusCode, text: await readText(response), contentType: got['content-type'] ?? 'text/plain' };
    };
    const sent = request(url, { method, headers, signal, agent: false }, (response) => resolve(answered(response)));
    sent.once('error', reject).end(body);
  });
}

async function readText(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of response) {
    bytes += (chunk as Buffer).length;
    if (bytes > maxBytes) throw new Error(`the engine's answer is longer than ${maxBytes} bytes`);
    chunks.push(chunk as Buffer);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** Node gathers several errors where a name has several addresses. */
function isRefused(error: unknown): boolean {
  if (error instanceof AggregateError && error.errors.length > 0) return error.errors.every(isRefused);
  return (error as NodeJS.ErrnoException | undefined)?.code === 'ECONNREFUSED';
}
