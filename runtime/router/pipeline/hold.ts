import { AssembledAnswer } from '../answers/assembled.ts';
import { type AnswerDocument, isAnswer } from '../answers/document.ts';
import { wantedLogprobs, withLogprobs } from '../answers/labels.ts';
import { RelayedAnswer } from '../answers/relayed.ts';
import { WholeAnswer } from '../answers/whole.ts';
import { replaceModel } from '../json/edit.ts';
import { chatCompletions } from '../operations.ts';
import { type Failure, invalidAnswer, invalidDocument } from '../providers/failure.ts';
import { wantsUsage } from '../providers/stream-options.ts';
import type { Speaking } from '../routes/table.ts';
import { ask } from './ask.ts';
import { type Attempt, type Exchange, type HeldAnswer, type Judgement, type RouterContext, set } from './exchange.ts';
import { PrefixGate } from './prefix-gate.ts';
import { clientSink, publicName, sendAnswer, sendDocument } from './reply.ts';
import { type Score, scoreOf } from './score.ts';
import { watchDocument } from './watch-document.ts';

/** One attempt whose answer is judged before the client gets it, or as it gets it. */
interface Judged {
  exchange: Exchange;
  attempt: Attempt;
  context: RouterContext;
  speaking: Speaking;
  judgement: Judgement;
  /** Log-probabilities are asked for. */
  scored: boolean;
}

/**
 * One attempt whose answer is scored, and held until it is clear whether the client gets it. A stream that need not be held
 * to its end has gone out when this is over, and nothing is held.
 */
export async function hold(exchange: Exchange, attempt: Attempt, context: RouterContext): Promise<Failure | undefined> {
  const speaking = set(attempt.backend.speaking, 'way to call the backend');
  const judgement = set(exchange.judgement, 'judgement');
  const scored = judgement.threshold !== undefined && speaking.givesLogprobs;
  const judged = { exchange, attempt, context, speaking, judgement, scored };
  const isRelayed = exchange.stream && exchange.route?.escalation?.streaming !== 'Buffer';
  const once = isRelayed ? relayOnce : holdOnce;
  const failure = await once(judged);
  if (failure?.reason !== 'BadRequest' || !scored || speaking.backend.kind === 'Model') return failure;
  // A provider may refuse a request for its log-probabilities alone.
  const without = await once({ ...judged, scored: false });
  if (without) return failure;
  speaking.givesLogprobs = false;
  return undefined;
}

function requestOf({ exchange, speaking, scored }: Judged) {
  const { operation, raw, body, stream } = exchange;
  const { backend, dialect, servedModel } = speaking;
  return dialect.request({ operation, raw, body, stream, backend, servedModel, labels: undefined, scored });
}

/** Holds an answer until it is complete. */
async function holdOnce(judged: Judged): Promise<Failure | undefined> {
  const { exchange, attempt, context, speaking, judgement, scored } = judged;
  const { body, stream } = exchange;
  const { schema } = set(exchange.route, 'route');
  const { name } = attempt.backend;
  const { interruptedReason } = speaking.dialect;
  const asked = requestOf(judged);
  const onPiece = schema && watchDocument(name, judgement, schema);
  const reader = asked.streamed
    ? new AssembledAnswer({ backend: name, interruptedReason, usageKind: asked.usage, onPiece })
    : new WholeAnswer({ backend: name, interruptedReason, text: true });
  const failure = await ask(exchange, attempt, asked, reader, asked.streamed);
  if (reader.usage) attempt.usage = reader.usage;
  if (failure) return failure;
  const { document, usage } = reader;
  if (!document || !isAnswer(document)) return invalidAnswer(name, 'sent an answer without choices');
  const score = scoreOf(document, { body, schema, scored: judgement.threshold !== undefined });
  attempt.confidence = score.confidence;
  const invalid = schema && outsideSchema(name, score);
  if (invalid) return invalid;
  const wanted = wantedOf(exchange);
  const isAsItCame = reader instanceof WholeAnswer && !stream && !exchange.front && (!scored || (wanted ?? 0) > 0);
  attempt.held = {
    score,
    deliver() {
      exchange.usage = usage;
      exchange.confidence = score.confidence;
      if (isAsItCame) {
        sendAnswer(exchange, attempt, replaceModel(reader.bytes, publicName(exchange)), false, context);
        return undefined;
      }
      const choices = scored ? document.choices.map((choice) => withLogprobs(choice, wanted)) : document.choices;
      return sendDocument(exchange, attempt, { ...document, choices }, context);
    },
  };
  return undefined;
}

/** Passes a stream on, or its beginning only once that is judged. One that ends before is held as a whole. */
async function relayOnce(judged: Judged): Promise<Failure | undefined> {
  const { exchange, attempt, context, speaking, judgement, scored } = judged;
  const { name } = attempt.backend;
  const isScored = judgement.threshold !== undefined;
  const asked = requestOf(judged);
  const gate = new PrefixGate({
    backend: name,
    judgement,
    holds: isScored && exchange.route?.escalation?.streaming === 'Prefix',
    scored,
    wanted: wantedOf(exchange),
    onPass: (confidence) => {
      exchange.confidence = confidence;
    },
  });
  const reader = new RelayedAnswer({
    backend: name,
    interruptedReason: speaking.dialect.interruptedReason,
    usageKind: asked.usage,
    publicName: publicName(exchange),
    dropUsage: !exchange.front && !wantsUsage(exchange.body),
    sink: clientSink(exchange, attempt, context),
    gate: isScored ? gate : undefined,
  });
  const failure = await ask(exchange, attempt, asked, reader, true);
  if (reader.usage) attempt.usage = reader.usage;
  if (isScored) attempt.confidence = gate.confidence;
  if (failure) return failure;
  const document = reader.isHeld ? gate.whole() : undefined;
  if (document) {
    attempt.held = heldStream(judged, reader, document);
    return undefined;
  }
  if (reader.isHeld) reader.release();
  exchange.usage = reader.usage;
  if (isScored) exchange.confidence = gate.confidence;
  exchange.response.end();
  return undefined;
}

/** A stream that was complete before it had to be decided whether it goes out. */
function heldStream({ exchange, attempt }: Judged, reader: RelayedAnswer, document: AnswerDocument): HeldAnswer {
  const score = scoreOf(document, { body: exchange.body, schema: undefined, scored: true });
  attempt.confidence = score.confidence;
  return {
    score,
    deliver() {
      exchange.usage = reader.usage;
      exchange.confidence = score.confidence;
      reader.release();
      exchange.response.end();
      return undefined;
    },
  };
}

/** A refusal is an answer, and a call of a tool another form of one; anything else that is no document is none. */
function outsideSchema(backend: string, { gate, why }: Score): Failure | undefined {
  if (!gate || gate === 'Refused') return undefined;
  const problems = {
    Truncated: 'was cut at the token limit: ask for more tokens',
    Empty: 'is empty',
    InvalidToolCall: "has a call that is none of the request's tools",
    NotJson: 'is not JSON',
    SchemaMismatch: `is not what output.jsonSchema says: ${why}`,
  };
  return invalidDocument(backend, problems[gate]);
}

function wantedOf({ body, operation }: Exchange): number | undefined {
  return wantedLogprobs(body, operation === chatCompletions);
}
