import { AssembledAnswer } from '../answers/assembled.ts';
import { isAnswer } from '../answers/document.ts';
import { wantedLogprobs, withLogprobs } from '../answers/labels.ts';
import { WholeAnswer } from '../answers/whole.ts';
import { replaceModel } from '../json/edit.ts';
import { chatCompletions } from '../operations.ts';
import { type Failure, invalidAnswer } from '../providers/failure.ts';
import { ask } from './ask.ts';
import { type Attempt, type Exchange, type RouterContext, set } from './exchange.ts';
import { sendAnswer, sendDocument } from './reply.ts';
import { scoreOf } from './score.ts';

/** One attempt whose answer is held and scored, and not given to the client yet. */
export async function hold(exchange: Exchange, attempt: Attempt, context: RouterContext): Promise<Failure | undefined> {
  const speaking = set(attempt.backend.speaking, 'way to call the backend');
  const scored = exchange.judgement?.threshold !== undefined && speaking.givesLogprobs;
  const failure = await holdOnce(exchange, attempt, context, scored);
  if (failure?.reason !== 'BadRequest' || !scored || speaking.backend.kind === 'Model') return failure;
  // A provider may refuse a request for its log-probabilities alone.
  const without = await holdOnce(exchange, attempt, context, false);
  if (without) return failure;
  speaking.givesLogprobs = false;
  return undefined;
}

async function holdOnce(
  exchange: Exchange,
  attempt: Attempt,
  context: RouterContext,
  scored: boolean,
): Promise<Failure | undefined> {
  const { operation, raw, body, stream } = exchange;
  const { backend, dialect, servedModel } = set(attempt.backend.speaking, 'way to call the backend');
  const { name } = attempt.backend;
  const { interruptedReason } = dialect;
  const asked = dialect.request({ operation, raw, body, stream, backend, servedModel, labels: undefined, scored });
  const reader = asked.streamed
    ? new AssembledAnswer({ backend: name, interruptedReason, usageKind: asked.usage })
    : new WholeAnswer({ backend: name, interruptedReason, text: true });
  const failure = await ask(exchange, attempt, asked, reader, asked.streamed);
  if (reader.usage) attempt.usage = reader.usage;
  if (failure) return failure;
  const { document, usage } = reader;
  if (!document || !isAnswer(document)) return invalidAnswer(name, 'sent an answer without choices');
  const score = scoreOf(document);
  const wanted = wantedLogprobs(body, operation === chatCompletions);
  const isAsItCame = reader instanceof WholeAnswer && !stream && !exchange.front && (wanted !== undefined || !scored);
  attempt.held = {
    score,
    deliver() {
      exchange.usage = usage;
      if (exchange.judgement?.threshold !== undefined || scored) exchange.confidence = score.confidence;
      if (isAsItCame) {
        sendAnswer(
          exchange,
          attempt,
          replaceModel(reader.bytes, Buffer.from(JSON.stringify(exchange.model))),
          false,
          context,
        );
        return undefined;
      }
      const choices = scored ? document.choices.map((choice) => withLogprobs(choice, wanted)) : document.choices;
      return sendDocument(exchange, attempt, { ...document, choices }, context);
    },
  };
  return undefined;
}
