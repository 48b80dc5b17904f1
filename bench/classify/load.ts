import { performance } from 'node:perf_hooks';
import { Pool } from 'undici';
import { labels } from '../router/labels.ts';
import type { Target } from '../router/load.ts';
import { labelOf, probabilities, textOf } from './texts.ts';

/** What came of a load. */
export interface Load {
  texts: number;
  requests: number;
  /** Requests that failed, and texts whose label or score is not what the backend sent. */
  errors: number;
  seconds: number;
}

/** A score may differ by this from what the backend sent: it has gone through a logarithm. */
const tolerance = 1e-9;

/** Requests of so many texts each to one policy, one after the other on each connection, with every score checked. */
export async function classifyLoad(
  { ports, headers: more }: Target,
  { model, batch, connections, seconds }: { model: string; batch: number; connections: number; seconds: number },
): Promise<Load> {
  const pool = new Pool(`http://127.0.0.1:${ports[0]}`, { connections });
  const headers = ['content-type', 'application/json', ...more];
  const began = performance.now();
  const end = began + seconds * 1000;
  const load: Load = { texts: 0, requests: 0, errors: 0, seconds: 0 };
  let next = 0;
  const worker = async (): Promise<void> => {
    while (performance.now() < end) {
      const first = next;
      next += batch;
      const input = Array.from({ length: batch }, (_, at) => textOf(first + at));
      const body = JSON.stringify({ model, input: batch === 1 ? input[0] : input });
      const { statusCode, body: answer } = await pool.request({ method: 'POST', path: '/v1/classify', headers, body });
      const text = await answer.text();
      load.requests++;
      load.texts += batch;
      load.errors += statusCode === 200 ? wrongTexts(text, first, batch) : 1;
    }
  };
  await Promise.all(Array.from({ length: connections }, worker));
  load.seconds = (performance.now() - began) / 1000;
  await pool.destroy();
  return load;
}

/** How many of a request's texts were not answered with what the backend had sent for them. */
function wrongTexts(answer: string, first: number, batch: number): number {
  const { data } = JSON.parse(answer) as { data: { label: string; probability: number; probs: number[] }[] };
  let wrong = Math.abs(data.length - batch);
  for (const [at, { label, probability, probs }] of data.entries()) {
    const number = (first + at) % probabilities.length;
    const sent = probabilities[number] as readonly number[];
    const isSame =
      probs.length === labels.length && probs.every((p, i) => Math.abs(p - (sent[i] as number)) < tolerance);
    if (!isSame || label !== labelOf(number) || Math.abs(probability - Math.max(...sent)) > tolerance) wrong++;
  }
  return wrong;
}
