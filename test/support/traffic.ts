import OpenAI from 'openai';
import { errorMessage } from '../../process/errors.ts';

export interface TrafficOptions {
  /** The router's address, e.g. `http://10.96.0.20`. */
  url: string;
  key: string;
  model: string;
  requestsPerSecond: number;
  /** While so many are under way none is added: what a test proves must not hang on how fast its engine is. */
  maxInFlight: number;
  /** Tokens of each answer; the more, the longer each is in flight. */
  maxTokens?: number;
}

/** What clients saw. */
export interface TrafficReport {
  sent: number;
  streamed: number;
  /** One line a request that got no answer, with when it was sent. */
  failures: string[];
  /** The same for streams that broke off after their first words: nobody can take those back. */
  cut: string[];
  /** Requests by the backend that answered, as `x-cadre-backend` says. */
  servedBy: Record<string, number>;
}

/** Clients at work. */
export interface Traffic {
  report: TrafficReport;
  /** Requests under way now. */
  inFlight(): number;
  stop(): Promise<TrafficReport>;
}

/** An unmodified OpenAI client that does not hide failures by trying again. */
export function openaiClient(url: string, key: string): OpenAI {
  return new OpenAI({ baseURL: `${url}/v1`, apiKey: key, maxRetries: 0, timeout: 120_000 });
}

/**
 * Sends requests at a steady rate, every other one streamed. `stop` ends it, waits for
 * those in flight, and tells what clients saw. It stops by itself after ten minutes.
 */
export function startTraffic(options: TrafficOptions): Traffic {
  const client = openaiClient(options.url, options.key);
  const report: TrafficReport = { sent: 0, streamed: 0, failures: [], cut: [], servedBy: {} };
  const inFlight = new Set<Promise<void>>();
  const ask = async (streamed: boolean): Promise<void> => {
    const at = new Date().toISOString();
    try {
      const backend = await (streamed ? stream(client, options) : complete(client, options));
      report.servedBy[backend] = (report.servedBy[backend] ?? 0) + 1;
    } catch (error) {
      const kind = error instanceof CutError ? report.cut : report.failures;
      kind.push(`${at} ${streamed ? 'streamed' : 'whole'}: ${errorMessage(error)}`);
    }
  };
  const send = (): void => {
    if (inFlight.size >= options.maxInFlight) return;
    const streamed = report.sent++ % 2 === 1;
    if (streamed) report.streamed++;
    const request = ask(streamed).finally(() => inFlight.delete(request));
    inFlight.add(request);
  };
  const timer = setInterval(send, 1000 / options.requestsPerSecond);
  const end = setTimeout(() => clearInterval(timer), 600_000);
  return {
    report,
    inFlight: () => inFlight.size,
    async stop() {
      clearInterval(timer);
      clearTimeout(end);
      await Promise.all(inFlight);
      return report;
    },
  };
}

function body({ model, maxTokens = 16 }: TrafficOptions) {
  return {
    model,
    max_tokens: maxTokens,
    messages: [{ role: 'user' as const, content: 'My card has not arrived yet. What shall I do?' }],
  };
}

async function complete(client: OpenAI, options: TrafficOptions): Promise<string> {
  const { data, response } = await client.chat.completions.create(body(options)).withResponse();
  if (!data.choices[0]?.finish_reason) throw new Error('the answer has no finish_reason');
  return response.headers.get('x-cadre-backend') ?? 'unknown';
}

/** A stream that broke off after its first words. */
class CutError extends Error {}

async function stream(client: OpenAI, options: TrafficOptions): Promise<string> {
  const { data, response } = await client.chat.completions.create({ ...body(options), stream: true }).withResponse();
  let begun = false;
  let finished = false;
  try {
    for await (const chunk of data) {
      begun ||= Boolean(chunk.choices[0]?.delta.content);
      finished ||= Boolean(chunk.choices[0]?.finish_reason);
    }
    // The client takes the end of a connection for the end of a stream; a cut one has no finish_reason.
    if (!finished) throw new Error('the stream has no finish_reason');
  } catch (error) {
    throw begun ? new CutError(errorMessage(error)) : error;
  }
  return response.headers.get('x-cadre-backend') ?? 'unknown';
}
