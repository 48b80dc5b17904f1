import type { ServerResponse } from 'node:http';
import { performance } from 'node:perf_hooks';
import { inDollars } from '../../../economics/price.ts';
import { isAnswer, type JsonObject } from '../answers/document.ts';
import type { Sink } from '../answers/relayed.ts';
import { asStream } from '../answers/stream.ts';
import type { ApiError } from '../errors.ts';
import { type Failure, invalidAnswer } from '../providers/failure.ts';
import { wantsUsage } from '../providers/stream-options.ts';
import { costOfAttempts } from './cost.ts';
import type { Attempt, Exchange, RouterContext } from './exchange.ts';

/** Names and values in turn, as `writeHead` takes them. */
type Headers = string[];

/** An answer that is complete. A client that does not take it is cut off. */
export function sendAnswer(
  exchange: Exchange,
  attempt: Attempt,
  bytes: Buffer,
  stream: boolean,
  { config }: RouterContext,
): void {
  const { response } = exchange;
  if (exchange.gone) return;
  begin(exchange, attempt, stream, bytes.length);
  response.end(bytes);
  // Begins anew whenever a part was taken. Small answers are with the kernel at once.
  if (response.writableLength > 0) response.setTimeout(config.client.writeTimeoutSeconds * 1000);
}

/** An answer that was made here, as the client wants it: whole, or as the events of a stream. */
export function sendDocument(
  exchange: Exchange,
  attempt: Attempt,
  document: JsonObject,
  context: RouterContext,
): Failure | undefined {
  const bytes = written({ ...document, model: exchange.model }, exchange);
  if (!bytes) return invalidAnswer(attempt.backend.name, 'sent an answer that is nested too deeply, or too long');
  sendAnswer(exchange, attempt, bytes, exchange.stream, context);
  return undefined;
}

/** Undefined for a document that is nested deeper than the stack, or longer than any text. */
function written(document: JsonObject, { stream, body, front, model }: Exchange): Buffer | undefined {
  try {
    if (front && isAnswer(document)) return Buffer.from(front.whole(document, model, stream));
    if (stream && isAnswer(document)) return Buffer.from(asStream(document, wantsUsage(body)));
    return Buffer.from(JSON.stringify(document));
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

/** The name by which the client called the model, in JSON: what answers say in place of the upstream's own. */
export function publicName({ model }: Exchange): Buffer {
  return Buffer.from(JSON.stringify(model));
}

/** The way of a stream to the client, which is cut off when it does not read for too long. */
export function clientSink(exchange: Exchange, attempt: Attempt, { config }: RouterContext): Sink {
  const { response, front } = exchange;
  let timer: NodeJS.Timeout | undefined;
  return {
    commit() {
      begin(exchange, attempt, true, undefined);
      response.once('close', () => clearTimeout(timer));
    },
    write(bytes, drained) {
      const told = front ? front.piece(bytes) : bytes;
      if (exchange.gone || told.length === 0 || response.write(told)) return true;
      timer = setTimeout(() => response.destroy(), config.client.writeTimeoutSeconds * 1000);
      response.once('drain', () => {
        clearTimeout(timer);
        drained();
      });
      return false;
    },
  };
}

/** Ends a stream that has begun and can't be completed: an error event, and no `[DONE]`, by which clients tell. */
export function endBroken({ response, gone, front }: Exchange, error: ApiError): void {
  if (!gone) response.end(front ? front.broken(error) : `data: ${JSON.stringify(error.body())}\n\n`);
}

/** Answers with an error. */
export function sendError(response: ServerResponse, requestId: string, error: ApiError): void {
  if (response.headersSent || response.destroyed) return;
  const body = Buffer.from(JSON.stringify(error.body()));
  const { retryAfterSeconds, close, headers } = error.details;
  const all: Headers = [
    'content-type',
    'application/json',
    'content-length',
    String(body.length),
    'x-request-id',
    requestId,
  ];
  if (retryAfterSeconds !== undefined) all.push('retry-after', String(retryAfterSeconds));
  for (const [name, value] of Object.entries(headers ?? {})) all.push(name, value);
  if (close) all.push('connection', 'close');
  response.writeHead(error.status, all);
  response.end(body);
}

/**
 * A comment for a client that waits for a stream, so that nothing on the way takes the connection for dead. With the first
 * one the status is said: what fails after it ends with an error event.
 */
export function keepAlive({ response, gone, committed, id }: Exchange): void {
  if (gone || committed || response.writableLength > 0) return;
  if (!response.headersSent) response.writeHead(200, [...streamHeaders, 'x-request-id', id]);
  response.write(': keep-alive\n\n');
}

const documentHeaders: Headers = ['content-type', 'application/json'];

const streamHeaders: Headers = [
  'content-type',
  'text/event-stream; charset=utf-8',
  // Proxies on the way must not collect a stream.
  'cache-control',
  'no-cache',
  'x-accel-buffering',
  'no',
];

function begin(exchange: Exchange, attempt: Attempt, stream: boolean, length: number | undefined): void {
  const { response, id } = exchange;
  const headers = [...(stream ? streamHeaders : documentHeaders), 'x-request-id', id, ...servedBy(exchange, attempt)];
  if (length !== undefined) headers.push('content-length', String(length));
  exchange.status = 200;
  exchange.committed = true;
  exchange.answer = attempt;
  exchange.firstByteAt = performance.now();
  if (response.headersSent) response.write(asComments(servedBy(exchange, attempt)));
  else response.writeHead(200, headers);
}

/** Who served, how sure the answer is, and what it cost with all that was tried. */
function servedBy(exchange: Exchange, { backend }: Attempt): Headers {
  const { attempts, confidence, escalations, notEscalated, reservation } = exchange;
  const headers: Headers = [
    'x-cadre-backend',
    backend.name,
    'x-cadre-model',
    headerValue(backend.speaking?.modelName ?? ''),
  ];
  if (typeof confidence === 'number') headers.push('x-cadre-confidence', confidence.toFixed(4));
  const cost = backend.isPriced ? costOfAttempts(attempts) : undefined;
  if (cost !== undefined) headers.push('x-cadre-cost', inDollars(cost));
  const last = escalations.at(-1);
  if (last) headers.push('x-cadre-escalated', last.reason);
  if (notEscalated !== undefined) headers.push('x-cadre-not-escalated', notEscalated);
  if (reservation) headers.push(...reservation.headers);
  return headers;
}

/** Headers that come too late, for people who look at a stream. */
function asComments(headers: Headers): string {
  let text = '';
  for (let at = 0; at < headers.length; at += 2) text += `: ${headers[at]}: ${headers[at + 1]}\n`;
  return `${text}\n`;
}

/** A provider's model name may have characters that a header may not. */
function headerValue(text: string): string {
  return text.replaceAll(/[^\u0020-\u007e]/g, '?');
}
