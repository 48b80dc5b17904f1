import { AssembledAnswer } from '../answers/assembled.ts';
import { isAnswer, type JsonObject } from '../answers/document.ts';
import { holdToLabels } from '../answers/labels.ts';
import { RelayedAnswer } from '../answers/relayed.ts';
import { asStream } from '../answers/stream.ts';
import { WholeAnswer } from '../answers/whole.ts';
import { replaceModel } from '../json/edit.ts';
import { embeddings } from '../operations.ts';
import { Call } from '../providers/call.ts';
import type { CallableBackend, UpstreamRequest } from '../providers/dialect.ts';
import { clientGone, type Failure, type FailureReason, invalidAnswer, invalidOutput } from '../providers/failure.ts';
import { wantsUsage } from '../providers/stream-options.ts';
import { type Attempt, type Exchange, type RouterContext, set } from './exchange.ts';
import { clientSink, sendAnswer } from './reply.ts';

/** One attempt: the request in the upstream's dialect, and the answer to the client. Sets `failure` where it came to nothing. */
export async function send(exchange: Exchange, attempt: Attempt, context: RouterContext): Promise<void> {
  const upstream = set(attempt.upstream, 'upstream');
  const { labels, route } = set(exchange.route, 'route');
  const { operation, raw, body, stream } = exchange;
  const { backend, dialect, servedModel } = set(attempt.backend.speaking, 'way to call the backend');
  const held = operation === embeddings ? undefined : labels;
  const asked = dialect.request({ operation, raw, body, stream, backend, servedModel, labels: held });
  const reader = readerFor(exchange, attempt, asked, context);
  const early = asked.streamed || operation === embeddings || held !== undefined;
  const call = new Call({
    upstream,
    backend: backend.name,
    path: asked.path,
    headers: headersFor(exchange, backend),
    body: asked.body,
    reader,
    // A long answer in one piece begins when it ends: only `total` can judge it.
    firstByteMs: early ? route.timeouts.firstByteMs : undefined,
    idleMs: route.timeouts.idleMs,
    totalMs: route.timeouts.totalMs,
    totalAt: exchange.deadline,
    onHead: () => upstream.answered(),
  });
  exchange.call = call;
  upstream.inFlight++;
  try {
    const failure = exchange.gone ? clientGone : await call.start().done;
    if (call.cause) attempt.cause = call.cause;
    if (failure && endpointFaults.has(failure.reason)) upstream.failed(Date.now());
    const outcome = failure ?? deliver(exchange, attempt, reader, context);
    if (outcome) attempt.failure = outcome;
    else exchange.usage = reader.usage;
  } finally {
    upstream.inFlight--;
    exchange.call = undefined;
  }
}

/** What tells of the endpoint more than of the request: others are asked for a while. */
const endpointFaults: ReadonlySet<string> = new Set<FailureReason>([
  'ConnectFailed',
  'Reset',
  'ServerError',
  'Overloaded',
  'Interrupted',
]);

type Reader = WholeAnswer | AssembledAnswer | RelayedAnswer;

function readerFor(
  exchange: Exchange,
  attempt: Attempt,
  { streamed, usage: usageKind }: UpstreamRequest,
  context: RouterContext,
): Reader {
  const interruptedReason = attempt.backend.speaking?.dialect.interruptedReason;
  const backend = attempt.backend.name;
  if (!streamed) return new WholeAnswer({ backend, interruptedReason, text: exchange.operation !== embeddings });
  // What is judged as a whole is held back as a whole.
  if (!exchange.stream || exchange.route?.labels) return new AssembledAnswer({ backend, interruptedReason, usageKind });
  return new RelayedAnswer({
    backend,
    interruptedReason,
    usageKind,
    publicName: publicName(exchange),
    dropUsage: !wantsUsage(exchange.body),
    sink: clientSink(exchange, attempt, context),
  });
}

/** Gives the client an answer that is there as a whole; a relayed one has gone out already. */
function deliver(exchange: Exchange, attempt: Attempt, reader: Reader, context: RouterContext): Failure | undefined {
  if (reader instanceof RelayedAnswer) {
    exchange.response.end();
    return undefined;
  }
  const { document } = reader;
  const labels = exchange.operation === embeddings ? undefined : exchange.route?.labels;
  if (labels && document && isAnswer(document) && !holdToLabels(document, labels)) {
    const cut = document.choices.some((choice) => choice.finish_reason === 'length');
    return invalidOutput(attempt.backend.name, cut);
  }
  const name = publicName(exchange);
  if (reader instanceof WholeAnswer && !labels) {
    sendAnswer(exchange, attempt, replaceModel(reader.bytes, name), false, context);
  } else {
    const bytes = written({ ...document, model: exchange.model }, exchange);
    if (!bytes) return invalidAnswer(attempt.backend.name, 'sent an answer that is nested too deeply, or too long');
    sendAnswer(exchange, attempt, bytes, exchange.stream, context);
  }
  return undefined;
}

/** Undefined for a document that is nested deeper than the stack, or longer than any text. */
function written(document: JsonObject, { stream, body }: Exchange): Buffer | undefined {
  try {
    if (stream && isAnswer(document)) return Buffer.from(asStream(document, wantsUsage(body)));
    return Buffer.from(JSON.stringify(document));
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

/** Nothing that a client sent goes upstream but the body, and to an engine the id of the request. */
function headersFor({ id }: Exchange, backend: CallableBackend): string[] {
  if (backend.kind === 'Model') return ['content-type', 'application/json', 'x-request-id', id];
  const headers = ['content-type', 'application/json', 'accept-encoding', 'identity', 'user-agent', 'cadre'];
  if (backend.apiKey !== undefined) headers.push('authorization', `Bearer ${backend.apiKey}`);
  return headers;
}

function publicName({ model }: Exchange): Buffer {
  return Buffer.from(JSON.stringify(model));
}
