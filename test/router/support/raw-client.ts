import { connect, type Socket } from 'node:net';
import { until } from '../../../process/testing/waiting.ts';
import { clientKey, type TestRouter } from '../../../runtime/router/testing/router.ts';

/** A client on a raw connection, which may send anything at all. */
export class RawClient implements Disposable {
  readonly socket: Socket;
  /** All that came back. */
  received = '';
  closed = false;

  constructor({ origin }: Pick<TestRouter, 'origin'>) {
    this.socket = connect({ port: Number(new URL(origin).port), host: '127.0.0.1', allowHalfOpen: true });
    this.socket.setNoDelay(true);
    this.socket.on('data', (chunk: Buffer) => {
      this.received += chunk.toString('latin1');
    });
    // Being cut off is one of the answers.
    this.socket.on('error', () => undefined);
    this.socket.on('end', () => {
      this.closed = true;
      this.socket.end();
    });
    this.socket.on('close', () => {
      this.closed = true;
    });
  }

  send(bytes: string | Buffer): this {
    this.socket.write(bytes);
    return this;
  }

  /** Resolves with all that came when the other side has closed the connection. */
  async untilClosed(): Promise<string> {
    await until('the router closes the connection', () => this.closed);
    return this.received;
  }

  async untilReceived(text: string): Promise<string> {
    await until(`"${text}" comes`, () => this.received.includes(text));
    return this.received;
  }

  /** The statuses of the answers that came, in their order. */
  get statuses(): number[] {
    return [...this.received.matchAll(/^HTTP\/1\.1 (\d{3}) /gm)].map(([, status]) => Number(status));
  }

  [Symbol.dispose](): void {
    this.socket.destroy();
  }
}

export const chatPath = '/v1/chat/completions';

/** A whole request, as bytes; `headers` are lines. */
export function request(body: string, { headers = [] as string[], path = chatPath, method = 'POST' } = {}): string {
  const lines = [`${method} ${path} HTTP/1.1`, 'host: router', `authorization: Bearer ${clientKey}`, ...headers];
  return `${lines.join('\r\n')}\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;
}

/** Resolves when the router has nothing under way: no request, and nothing at any of these endpoints. */
export async function untilIdle({ context }: TestRouter, models: readonly string[] = []): Promise<void> {
  await until('no request is under way', () => context.metrics.inFlight === 0);
  for (const model of models)
    await until(`nothing is under way at ${model}`, () =>
      context.endpoints.ready('support', model).every(({ inFlight }) => inFlight === 0),
    );
}
