import { performance } from 'node:perf_hooks';
import { Pool } from 'undici';
import { type Case, requestBody } from './cases.ts';

/** Where a program listens, and what its requests bear besides their content type. */
export interface Target {
  /** More than one where several processes share the work. */
  ports: readonly number[];
  /** Names and values in turn. */
  headers: readonly string[];
}

/** What came of a load. */
export interface Load {
  requests: number;
  errors: number;
  seconds: number;
  latenciesMs: number[];
}

/** As many requests as so many connections can have answered, one after the other, for so long or so many of them. */
export async function full(
  target: Target,
  kind: Case,
  {
    connections,
    seconds,
    requests = Number.POSITIVE_INFINITY,
  }: { connections: number; seconds: number; requests?: number },
): Promise<Load> {
  const client = openClient(target, kind, connections);
  const began = performance.now();
  const end = began + seconds * 1000;
  let sent = 0;
  const worker = async (): Promise<void> => {
    while (performance.now() < end && sent < requests) {
      sent++;
      await client.ask(performance.now());
    }
  };
  await Promise.all(Array.from({ length: connections }, worker));
  return client.close(began);
}

/** So many requests a second, evenly, whether earlier ones were answered or not; latency counts from when one was due. */
export async function paced(
  target: Target,
  kind: Case,
  { rate, connections, seconds }: { rate: number; connections: number; seconds: number },
): Promise<Load> {
  const client = openClient(target, kind, connections);
  const began = performance.now();
  const total = Math.floor(rate * seconds);
  const asked: Promise<void>[] = [];
  await new Promise<void>((resolve) => {
    const send = (): void => {
      const due = Math.min(total, Math.floor(((performance.now() - began) / 1000) * rate));
      while (asked.length < due) asked.push(client.ask(began + (asked.length / rate) * 1000));
      if (asked.length < total) setTimeout(send, 1);
      else resolve();
    };
    send();
  });
  await Promise.all(asked);
  return client.close(began);
}

function openClient({ ports, headers: more }: Target, kind: Case, connections: number) {
  const pools = ports.map((port) => {
    return new Pool(`http://127.0.0.1:${port}`, { connections: Math.ceil(connections / ports.length) });
  });
  const body = requestBody(kind);
  const headers = ['content-type', 'application/json', ...more];
  const latenciesMs: number[] = [];
  let errors = 0;
  let next = 0;
  return {
    ask(dueAt: number): Promise<void> {
      const pool = pools[next++ % pools.length] as Pool;
      return new Promise((resolve) => {
        let status = 0;
        let last = '';
        pool.dispatch(
          { method: 'POST', path: '/v1/chat/completions', headers, body },
          {
            onRequestStart: () => undefined,
            onResponseStart(_, code) {
              status = code;
            },
            onResponseData(_, part) {
              last = part.toString('latin1', Math.max(0, part.length - 16));
            },
            onResponseEnd() {
              latenciesMs.push(performance.now() - dueAt);
              if (status !== 200 || (kind.streamed && !last.includes('[DONE]'))) errors++;
              resolve();
            },
            onResponseError() {
              errors++;
              resolve();
            },
          },
        );
      });
    },
    async close(began: number): Promise<Load> {
      const seconds = (performance.now() - began) / 1000;
      await Promise.all(pools.map((pool) => pool.destroy()));
      return { requests: latenciesMs.length, errors, seconds, latenciesMs };
    },
  };
}

/** The value below which the share `q` of the sorted values lies. */
export function quantile(sorted: readonly number[], q: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? Number.NaN;
}
