import { argmax } from '../../../quality/prediction.ts';
import { type JsonObject, setUsage, type TokenUsage } from '../answers/document.ts';
import { maxAnswerBytes } from '../answers/reader.ts';
import { WholeAnswer } from '../answers/whole.ts';
import { verdictOf } from '../confidence/estimate.ts';
import type { LabelSet } from '../confidence/label-set.ts';
import {
  asAnswer,
  type Classification,
  type ClassifierBackend,
  classifyRequest,
  readClassifications,
} from '../providers/classifier.ts';
import type { UpstreamRequest } from '../providers/dialect.ts';
import { type Failure, invalidAnswer, otherLabels } from '../providers/failure.ts';
import { ask } from './ask.ts';
import type { Attempt, Exchange } from './exchange.ts';
import type { Labelled, LabelVerdict } from './send-label.ts';

/** What a classification head said of texts. */
export type HeadAnswer =
  | { failure: Failure }
  | { failure?: never; document: JsonObject; verdicts: readonly LabelVerdict[]; usage: TokenUsage | undefined };

/** What a head is asked, and for how many texts; undefined: as many as it likes. */
interface HeadQuestion {
  asked: UpstreamRequest;
  labels: LabelSet | undefined;
  count: number | undefined;
}

/** Asks a model with a classification head. Without labels in the policy, the model's own are the answers. */
export async function classify(
  exchange: Exchange,
  attempt: Attempt,
  backend: ClassifierBackend,
  labels: LabelSet | undefined,
): Promise<Labelled> {
  const { operation, body } = exchange;
  const asked = classifyRequest(operation, body, backend);
  const found = await askHead(exchange, attempt, { asked, labels, count: undefined });
  if (found.failure) return found;
  const { document, verdicts, usage } = found;
  const answer = asAnswer(
    document,
    operation,
    verdicts.map(({ label }) => label),
  );
  if (usage) setUsage(answer, usage);
  return { document: answer, verdicts, usage };
}

/** Asks a head, and judges what it says of each text. */
export async function askHead(
  exchange: Exchange,
  attempt: Attempt,
  { asked, labels, count }: HeadQuestion,
): Promise<HeadAnswer> {
  const { name } = attempt.backend;
  const reader = new WholeAnswer({ backend: name, interruptedReason: undefined, text: false, largest: maxAnswerBytes });
  const failure = await ask(exchange, attempt, asked, reader, true);
  if (failure) return { failure };
  const { document, usage } = reader;
  const classifications = document && readClassifications(document);
  if (!document || !classifications || (count !== undefined && classifications.length !== count))
    return { failure: invalidAnswer(name, 'sent an answer that is no classification') };
  const verdicts: LabelVerdict[] = [];
  for (const one of classifications) {
    const verdict = labels ? verdictAmong(one, labels) : ownVerdict(one);
    if (typeof verdict === 'string') return { failure: otherLabels(name, verdict) };
    verdicts.push(verdict);
  }
  return { document, verdicts, usage };
}

function ownVerdict({ label, probabilities }: Classification): LabelVerdict {
  const answer = argmax(probabilities);
  return { answer, label, confidence: probabilities[answer], probabilities };
}

/** Names that a model without names of its own gives its classes. */
const unnamed = /^LABEL_[0-9]+$/;

/** The verdict by the policy's labels, which stand for the model's classes in their order; else why they can't. */
function verdictAmong({ label, probabilities }: Classification, set: LabelSet): LabelVerdict | string {
  const { labels } = set.trained;
  if (probabilities.length !== labels.length)
    return `has ${probabilities.length} classes, and the policy has ${labels.length} labels`;
  const likeliest = argmax(probabilities);
  const name = labels[likeliest]?.name;
  if (name !== label && !unnamed.test(label))
    return `calls a class "${label}" that is "${name}" in the order of the policy's labels`;
  if (set.isPlain)
    return { answer: likeliest, label: name as string, confidence: probabilities[likeliest], probabilities };
  const estimate = {
    probabilities: Float64Array.from(probabilities),
    seen: new Uint8Array(labels.length).fill(1),
    shared: [],
  };
  const verdict = verdictOf(estimate, set.trained, set);
  return { ...verdict, label: set.answers[verdict.answer] as string };
}
