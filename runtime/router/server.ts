import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { answerProbe, type Probes } from '../../process/probes.ts';
import { ApiError } from './errors.ts';
import { answerModels } from './models.ts';
import { endpoints } from './operations.ts';
import { newExchange, type RouterContext } from './pipeline/exchange.ts';
import { serve } from './pipeline/pipeline.ts';
import { releaseBody } from './pipeline/receive.ts';
import { sendError } from './pipeline/reply.ts';
import { clientGone } from './providers/failure.ts';

/** A client's own request id is taken over if it is one that logs and headers can carry. */
const saneId = /^[\w.:-]{1,128}$/;

/** The HTTP server of the router, not yet listening. `probes`: answered here too, unless they have a port of their own. */
export function createRouterServer(context: RouterContext, probes?: Probes): Server {
  const { headersTimeoutSeconds, bodyTimeoutSeconds, keepAliveSeconds } = context.config.client;
  const server = createServer(
    {
      headersTimeout: headersTimeoutSeconds * 1000,
      requestTimeout: (headersTimeoutSeconds + bodyTimeoutSeconds) * 1000,
      keepAliveTimeout: keepAliveSeconds * 1000,
      connectionsCheckingInterval: 1_000,
      noDelay: true,
      requireHostHeader: false, // the answer to a request without one is ours
    },
    (request, response) => {
      if (context.draining) response.shouldKeepAlive = false;
      if (probes && answerProbe(probes, request, response)) return;
      answer(request, response, context);
    },
  );
  server.on('clientError', answerBroken);
  // Without a handler Node answers 417 by itself, in no shape of ours.
  server.on('checkExpectation', (request: IncomingMessage, response: ServerResponse) => {
    const message = `the expectation "${request.headers.expect}" can't be met: leave the header "expect" out`;
    sendError(response, requestId(request), new ApiError(417, 'expectation_failed', message, { close: true }));
  });
  return server;
}

function answer(request: IncomingMessage, response: ServerResponse, context: RouterContext): void {
  const id = requestId(request);
  if (request.headers.host === undefined && request.httpVersion !== '1.0') {
    const error = new ApiError(400, 'invalid_http', 'the request has no header "host"', { close: true });
    sendError(response, id, error);
    return;
  }
  const url = request.url ?? '/';
  const query = url.indexOf('?');
  const path = query < 0 ? url : url.slice(0, query);
  const endpoint = endpoints.get(path);
  if (!endpoint) {
    try {
      answerModels(path, id, request, response, context);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      sendError(response, id, error);
    }
    return;
  }
  if (request.method !== 'POST') {
    const message = `${request.method} ${path} is not supported: use POST`;
    sendError(response, id, new ApiError(405, 'method_not_allowed', message, { headers: { allow: 'POST' } }));
    return;
  }
  const exchange = newExchange(id, endpoint, request, response, context.routes.table);
  if (context.tracing) exchange.trace = context.tracing.begin(exchange);
  context.metrics.inFlight++;
  // The response's `close`, as the request's does not come any more once its body was read.
  response.once('close', () => {
    if (response.writableFinished) return;
    exchange.gone = true;
    exchange.call?.fail(clientGone);
  });
  serve(exchange, context)
    .catch((error: unknown) => {
      context.log.error({ err: error, requestId: id }, 'a request failed outside of the pipeline');
      response.destroy();
    })
    .finally(() => {
      context.metrics.inFlight--;
      releaseBody(exchange, context);
    });
}

function requestId({ headers }: IncomingMessage): string {
  const given = headers['x-request-id'];
  return typeof given === 'string' && saneId.test(given) ? given : randomUUID();
}

/** Answers what is not HTTP, or came too slowly to be read, in the shape of every other error. */
function answerBroken(error: NodeJS.ErrnoException, socket: Socket & { _httpMessage?: ServerResponse | null }): void {
  // By Node's own name for it, as its own handler asks: what is under way here would take this for its answer, or a part.
  const { _httpMessage: underWay } = socket;
  const isAnothers = underWay != null && (underWay.headersSent || underWay.req.complete);
  if (error.code === 'ECONNRESET' || !socket.writable || isAnothers) {
    socket.destroy();
    return;
  }
  const answers: Record<string, ApiError> = {
    HPE_HEADER_OVERFLOW: new ApiError(431, 'headers_too_large', 'the request headers are too large'),
    ERR_HTTP_REQUEST_TIMEOUT: new ApiError(408, 'request_timeout', 'the request did not arrive in time'),
  };
  const known = answers[error.code ?? ''] ?? new ApiError(400, 'invalid_http', 'the request is not valid HTTP');
  const reasons: Record<number, string> = {
    400: 'Bad Request',
    408: 'Request Timeout',
    431: 'Request Header Fields Too Large',
  };
  const body = JSON.stringify(known.body());
  const head = [
    `HTTP/1.1 ${known.status} ${reasons[known.status]}`,
    'content-type: application/json',
    `content-length: ${Buffer.byteLength(body)}`,
    `x-request-id: ${randomUUID()}`,
    'connection: close',
  ].join('\r\n');
  socket.end(`${head}\r\n\r\n${body}`);
}
