import type { AnswerReader } from '../answers/reader.ts';
import { Call } from '../providers/call.ts';
import type { CallableBackend, UpstreamRequest } from '../providers/dialect.ts';
import { clientGone, type Failure, type FailureReason, outrun, withoutSecret } from '../providers/failure.ts';
import { type Attempt, type Exchange, set } from './exchange.ts';

/** What tells of the endpoint more than of the request: others are asked for a while if it goes on. */
const endpointFaults: ReadonlySet<string> = new Set<FailureReason>([
  'ConnectFailed',
  'Reset',
  'ServerError',
  'Overloaded',
  'Interrupted',
]);

/**
 * Sends one request to the attempt's upstream and has the answer read. Resolves with the failure, where it came to
 * nothing. `early`: the answer begins long before it ends, or is short.
 */
export async function ask(
  exchange: Exchange,
  attempt: Attempt,
  asked: UpstreamRequest,
  reader: AnswerReader,
  early: boolean,
): Promise<Failure | undefined> {
  if (asked.refusal) return asked.refusal;
  const upstream = set(attempt.upstream, 'upstream');
  const { timeouts } = set(exchange.route, 'route').route;
  const { backend, headers } = set(attempt.backend.speaking, 'way to call the backend');
  const { race } = exchange;
  if (race?.first && race.first !== attempt) return outrun;
  const traced = exchange.trace?.beginCall(exchange, attempt);
  const call = new Call({
    upstream,
    backend: backend.name,
    path: asked.path,
    headers: traced
      ? [...headersFor(exchange, backend, headers), ...traced.headers]
      : headersFor(exchange, backend, headers),
    body: asked.body,
    reader: asked.translated ? asked.translated(reader) : reader,
    // A long answer in one piece begins when it ends: only `total` can judge it.
    firstByteMs: early ? timeouts.firstByteMs : undefined,
    idleMs: timeouts.idleMs,
    totalMs: timeouts.totalMs,
    totalAt: exchange.deadline,
    onHead: () => upstream.health.began(Date.now()),
    onBegin: race && (() => race.began(attempt)),
  });
  if (race) race.add(call, attempt);
  else exchange.call = call;
  upstream.inFlight++;
  try {
    const failure = exchange.gone ? clientGone : await call.start().done;
    traced?.end(failure, reader.usage);
    if (call.cause) attempt.cause = call.cause;
    if (!failure) {
      upstream.health.answered(Date.now());
      return undefined;
    }
    if (endpointFaults.has(failure.reason)) upstream.health.failed(Date.now(), failure.reason === 'ConnectFailed');
    const secret = backend.kind === 'Provider' ? backend.apiKey : undefined;
    return secret ? withoutSecret(failure, secret) : failure;
  } finally {
    upstream.inFlight--;
    if (race) race.over(call);
    else exchange.call = undefined;
  }
}

/** Nothing that a client sent goes upstream but the body, and to an engine the ids of request and trace. */
function headersFor({ id }: Exchange, { kind }: CallableBackend, headers: readonly string[]): string[] {
  return kind === 'Model' ? [...headers, 'x-request-id', id] : [...headers];
}
