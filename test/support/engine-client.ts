import type { EngineProcess } from './engine-process.ts';

/** One event of a stream, parsed; `[DONE]` stays text. */
export type StreamEvent = Record<string, unknown> | '[DONE]';

export interface JsonAnswer {
  status: number;
  // What engines answer is what these tests are about; each looks at the fields that it names.
  body: Answer;
}

/** The fields of all answers that tests look at. */
export interface Answer {
  id?: string;
  object?: string;
  model?: string;
  data?: { id?: string; embedding?: number[]; label?: string; probs?: number[] }[];
  choices?: Choice[];
  usage?: { prompt_tokens: number; completion_tokens: number; total_tokens: number };
  error?: { message?: string; type?: string; code?: number; n_ctx?: number } | string;
  detail?: string;
}

export interface Choice {
  index: number;
  text?: string;
  message?: { role: string; content: string };
  delta?: { role?: string; content?: string | null };
  finish_reason: string | null;
  logprobs?: {
    content?: TokenLogprob[];
    tokens?: string[];
    token_logprobs?: number[];
    top_logprobs?: Record<string, number>[];
    text_offset?: number[];
  } | null;
}

export interface TokenLogprob {
  token: string;
  logprob: number;
  bytes: number[];
  top_logprobs: { token: string; logprob: number; bytes: number[] }[];
}

export async function post(engine: EngineProcess, path: string, body: object | string): Promise<JsonAnswer> {
  const response = await fetch(`${engine.url}${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });
  return { status: response.status, body: (await response.json()) as Answer };
}

export async function getText(engine: EngineProcess, path: string): Promise<{ status: number; text: string }> {
  const response = await fetch(`${engine.url}${path}`);
  return { status: response.status, text: await response.text() };
}

/** A streamed request that is being read. */
export interface OpenStream {
  /** Settles with the first event. */
  first: Promise<StreamEvent>;
  /** Settles when the stream has ended, however that was. */
  ended: Promise<{ events: StreamEvent[]; broken: boolean }>;
  leave: () => void;
}

export function openStream(engine: EngineProcess, path: string, body: object): OpenStream {
  const leaving = new AbortController();
  const events: StreamEvent[] = [];
  let onFirst: (event: StreamEvent) => void = () => undefined;
  let onNone: (error: Error) => void = () => undefined;
  const first = new Promise<StreamEvent>((resolve, reject) => {
    onFirst = resolve;
    onNone = reject;
  });
  // Whoever only looks at the end does not care that there was no first event.
  first.catch(() => undefined);
  const read = async (): Promise<{ events: StreamEvent[]; broken: boolean }> => {
    try {
      const response = await fetch(`${engine.url}${path}`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ ...body, stream: true }),
        signal: leaving.signal,
      });
      let rest = '';
      for await (const chunk of response.body?.pipeThrough(new TextDecoderStream()) ?? []) {
        const parts = (rest + chunk).split('\n\n');
        rest = parts.pop() ?? '';
        for (const part of parts) {
          if (!part.startsWith('data: ')) continue;
          const data = part.slice('data: '.length);
          events.push(data === '[DONE]' ? data : (JSON.parse(data) as Record<string, unknown>));
          onFirst(events[0] as StreamEvent);
        }
      }
      return { events, broken: false };
    } catch {
      return { events, broken: true };
    } finally {
      onNone(new Error('the stream ended before its first event'));
    }
  };
  return { first, ended: read(), leave: () => leaving.abort() };
}

/** An unstreamed completion whose client will leave before it is answered. */
export function unstreamed(engine: EngineProcess, body: object): { leave(): Promise<void> } {
  const leaving = new AbortController();
  const answered = fetch(`${engine.url}/v1/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
    signal: leaving.signal,
  }).then(
    () => true,
    () => false,
  );
  return {
    async leave() {
      leaving.abort();
      if (await answered) throw new Error('the request was answered before its client left');
    },
  };
}
