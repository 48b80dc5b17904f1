import { Agent, request } from 'undici';
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
  close(): Promise<void>;
}

const maxMetricsBytes = 16 * 2 ** 20;

export function engineClient(url: string, engine: Engine, probeTimeoutMs: number): EngineClient {
  const base = url.replace(/\/+$/, '');
  const dispatcher = new Agent({ connect: { timeout: probeTimeoutMs } });
  // A connection each time: engines close idle ones, and a request must not meet that moment.
  const common = { dispatcher, reset: true } as const;

  async function get(path: string): Promise<{ status: number; text: string; contentType: string }> {
    const { statusCode, headers, body } = await request(`${base}${path}`, {
      ...common,
      signal: AbortSignal.timeout(probeTimeoutMs),
    });
    const contentType = headers['content-type'];
    return {
      status: statusCode,
      text: await limitedText(body),
      contentType: typeof contentType === 'string' ? contentType : 'text/plain',
    };
  }

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
    async post({ path, body }, signal) {
      const answer = await request(`${base}${path}`, {
        ...common,
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(body),
        headersTimeout: 0,
        bodyTimeout: 0,
        signal,
      });
      return { status: answer.statusCode, text: await limitedText(answer.body) };
    },
    close: () => dispatcher.destroy(),
  };
}

async function limitedText(body: AsyncIterable<Buffer>): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of body) {
    bytes += chunk.length;
    if (bytes > maxMetricsBytes) throw new Error(`the engine's answer is longer than ${maxMetricsBytes} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** Undici wraps the system's error, and gathers several where a name has several addresses. */
function isRefused(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const { code } = error as NodeJS.ErrnoException;
  if (code === 'ECONNREFUSED') return true;
  if (error instanceof AggregateError && error.errors.length > 0) return error.errors.every(isRefused);
  return isRefused(error.cause);
}
