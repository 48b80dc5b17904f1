import type { IncomingMessage, ServerResponse } from 'node:http';

/** A request with its body read, and its response. */
export interface Exchange {
  request: IncomingMessage;
  response: ServerResponse;
  method: string;
  path: string;
  query: URLSearchParams;
  body: Buffer;
}

export async function readExchange(request: IncomingMessage, response: ServerResponse): Promise<Exchange> {
  const url = new URL(request.url ?? '/', 'http://localhost');
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return {
    request,
    response,
    method: request.method ?? 'GET',
    path: url.pathname,
    query: url.searchParams,
    body: Buffer.concat(chunks),
  };
}

export function sendJson(
  { response }: Exchange,
  status: number,
  value: unknown,
  headers: Record<string, string> = {},
): void {
  const text = JSON.stringify(value);
  response
    .writeHead(status, {
      'content-type': 'application/json; charset=utf-8',
      'content-length': String(Buffer.byteLength(text)),
      ...headers,
    })
    .end(text);
}

export function sendText(
  { response }: Exchange,
  status: number,
  text: string,
  headers: Record<string, string> = {},
): void {
  response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8', ...headers }).end(text);
}

/** Server-sent events; the header goes out with the first of them, as engines do. */
export class EventStream {
  readonly #response: ServerResponse;
  readonly #pingMs: number;
  #ping: NodeJS.Timeout | undefined;

  /** `pingMs`: a comment after so much silence, 0 for none. */
  constructor(response: ServerResponse, pingMs: number) {
    this.#response = response;
    this.#pingMs = pingMs;
    response.once('close', () => clearTimeout(this.#ping));
  }

  send(data: object | '[DONE]'): void {
    this.#start();
    this.#response.write(`data: ${typeof data === 'string' ? data : JSON.stringify(data)}\n\n`);
    this.#restartPing();
  }

  comment(): void {
    this.#start();
    this.#response.write(':\n\n');
  }

  end(): void {
    clearTimeout(this.#ping);
    this.#start();
    this.#response.end();
  }

  #start(): void {
    if (this.#response.headersSent) return;
    this.#response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-cache' });
  }

  #restartPing(): void {
    clearTimeout(this.#ping);
    if (this.#pingMs <= 0) return;
    this.#ping = setTimeout(() => {
      this.comment();
      this.#restartPing();
    }, this.#pingMs);
  }
}

/** Runs `left` when the client goes away before the answer has ended. */
export function onClientGone({ response }: Exchange, left: () => void): void {
  response.once('close', () => {
    if (!response.writableFinished) left();
  });
}
