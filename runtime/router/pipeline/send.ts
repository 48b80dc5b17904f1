import { AssembledAnswer } from '../answers/assembled.ts';
import { RelayedAnswer } from '../answers/relayed.ts';
import { WholeAnswer } from '../answers/whole.ts';
import { replaceModel } from '../json/edit.ts';
import { embeddings } from '../operations.ts';
import { isClassifier } from '../providers/classifier.ts';
import type { UpstreamRequest } from '../providers/dialect.ts';
import type { Failure } from '../providers/failure.ts';
import { wantsUsage } from '../providers/stream-options.ts';
import { ask } from './ask.ts';
import { type Attempt, type Exchange, type RouterContext, set } from './exchange.ts';
import { hold } from './hold.ts';
import { clientSink, publicName, sendAnswer, sendDocument } from './reply.ts';
import { sendLabel } from './send-label.ts';

/** One attempt: the request in the upstream's dialect, and the answer to the client. Sets `failure` where it came to nothing. */
export async function send(exchange: Exchange, attempt: Attempt, context: RouterContext): Promise<void> {
  const { operation, raw, body, stream } = exchange;
  const { backend, dialect, servedModel } = set(attempt.backend.speaking, 'way to call the backend');
  const { labels } = set(exchange.route, 'route');
  if (operation !== embeddings && (labels || isClassifier(backend) || exchange.text)) {
    const failure = await sendLabel(exchange, attempt, context);
    if (failure) attempt.failure = failure;
    return;
  }
  if (exchange.judgement && operation !== embeddings) {
    const failure = await hold(exchange, attempt, context);
    if (failure) attempt.failure = failure;
    return;
  }
  const asked = dialect.request({ operation, raw, body, stream, backend, servedModel, labels: undefined });
  const reader = readerFor(exchange, attempt, asked, context);
  const failure = await ask(exchange, attempt, asked, reader, asked.streamed || operation === embeddings);
  if (reader.usage) attempt.usage = reader.usage;
  const outcome = failure ?? deliver(exchange, attempt, reader, context);
  if (outcome) attempt.failure = outcome;
  else exchange.usage = reader.usage;
}

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
  if (!exchange.stream) return new AssembledAnswer({ backend, interruptedReason, usageKind });
  return new RelayedAnswer({
    backend,
    interruptedReason,
    usageKind,
    publicName: publicName(exchange),
    dropUsage: !exchange.front && !wantsUsage(exchange.body),
    sink: clientSink(exchange, attempt, context),
  });
}

/** Gives the client an answer that is there as a whole; a relayed one has gone out already. */
function deliver(exchange: Exchange, attempt: Attempt, reader: Reader, context: RouterContext): Failure | undefined {
  if (reader instanceof RelayedAnswer) {
    exchange.response.end();
    return undefined;
  }
  if (reader instanceof WholeAnswer && !exchange.front) {
    sendAnswer(exchange, attempt, replaceModel(reader.bytes, publicName(exchange)), false, context);
    return undefined;
  }
  return sendDocument(exchange, attempt, reader.document ?? {}, context);
}
