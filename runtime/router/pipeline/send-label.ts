import { type AnswerDocument, type Choice, setUsage, type TokenUsage } from '../answers/document.ts';
import { textOf, wantedLogprobs, withLabel, withLogprobs } from '../answers/labels.ts';
import {
  type Estimate,
  estimateOf,
  openLabels,
  refine,
  unknownTokens,
  type Verdict,
  verdictOf,
} from '../confidence/estimate.ts';
import { type LabelSet, questionAmong, type SpokenLabels, spokenBy } from '../confidence/label-set.ts';
import { readPositions } from '../confidence/positions.ts';
import { ApiError } from '../errors.ts';
import { chatCompletions } from '../operations.ts';
import { isClassifier } from '../providers/classifier.ts';
import { type Failure, invalidOutput, notAClassifier } from '../providers/failure.ts';
import type { Speaking } from '../routes/table.ts';
import { Asking } from './asking.ts';
import { classify } from './classify.ts';
import { phrase } from './classify-texts.ts';
import { type Attempt, type Exchange, type RouterContext, set } from './exchange.ts';
import { sendDocument } from './reply.ts';

/** So many further questions are asked to tell apart labels that begin alike. */
const mostQuestions = 3;
/** As many answers to one question as OpenAI gives. */
const mostAnswers = 128;

/** A verdict, and the name of its answer. */
export interface LabelVerdict extends Verdict {
  label: string;
}

/** What came of asking for labels. */
export type Labelled = Success | { failure: Failure };

interface Success {
  failure?: never;
  document: AnswerDocument;
  /** By choice. */
  verdicts: readonly LabelVerdict[];
  usage: TokenUsage | undefined;
}

/** One attempt to have a request answered with one of the policy's labels: asks, judges, and answers the client. */
export async function sendLabel(
  exchange: Exchange,
  attempt: Attempt,
  context: RouterContext,
): Promise<Failure | undefined> {
  const { labels } = set(exchange.route, 'route');
  const speaking = set(attempt.backend.speaking, 'way to call the backend');
  const { backend } = speaking;
  const copies = copiesOf(exchange);
  if (!labels && !isClassifier(backend)) return notAClassifier(backend.name);
  const ask = (): Promise<Labelled> => {
    phrase(exchange, attempt.backend);
    return isClassifier(backend)
      ? classify(exchange, attempt, backend, labels)
      : labelled(exchange, attempt, speaking, set(labels, 'label set'), context);
  };
  const found = await (exchange.text ? exchange.text.batch.asked(exchange, attempt, ask) : ask());
  if (found.failure) return found.failure;
  const { document, verdicts, usage } = found;
  if (usage) attempt.usage = usage;
  const confidence = lowest(verdicts);
  const deliver = (): Failure | undefined => {
    exchange.usage = usage;
    exchange.confidence = confidence;
    if (exchange.text) {
      exchange.text.taken = { attempt, verdict: verdicts[0] as LabelVerdict };
      return undefined;
    }
    const wanted = wantedLogprobs(exchange.body, exchange.operation === chatCompletions);
    const choices = document.choices.map((choice, at) =>
      withLabel(withLogprobs(choice, wanted), (verdicts[at] as { label: string }).label),
    );
    const given = backend.kind === 'Provider' ? choices : copied(choices, copies);
    return sendDocument(exchange, attempt, { ...document, choices: given }, context);
  };
  if (!exchange.judgement) return deliver();
  attempt.confidence = confidence;
  attempt.held = { score: { gate: undefined, confidence }, deliver };
  return undefined;
}

/** Of several choices, the one that is least sure. */
function lowest(verdicts: readonly Verdict[]): number | 'Unknown' {
  const known = verdicts.flatMap(({ confidence }) => confidence ?? []);
  return known.length === verdicts.length ? Math.min(...known) : 'Unknown';
}

/** `n` of the request: an engine is asked for one answer, as all of them are the likeliest label. */
function copiesOf({ body: { n } }: Exchange): number {
  if (n === undefined || n === null) return 1;
  if (typeof n === 'number' && Number.isInteger(n) && n >= 1 && n <= mostAnswers) return n;
  throw new ApiError(400, 'invalid_type', `"n" must be a whole number from 1 to ${mostAnswers}`, { param: 'n' });
}

function copied(choices: readonly Choice[], copies: number): Choice[] {
  if (copies === 1) return [...choices];
  return choices.flatMap((choice) =>
    Array.from({ length: copies }, (_, copy) => ({ ...choice, index: choice.index * copies + copy })),
  );
}

/** Asks a model that writes, and judges what it might have written. */
async function labelled(
  exchange: Exchange,
  attempt: Attempt,
  speaking: Speaking,
  labels: LabelSet,
  context: RouterContext,
): Promise<Labelled> {
  const { backend } = speaking;
  const spoken = spokenBy(labels, backend);
  const asking = new Asking(exchange, attempt, speaking);
  // Several prompts in one request are not asked about one by one.
  const several = Array.isArray(exchange.body['prompt']);
  const first = await asking.ask(several ? spoken.whole : spoken.first);
  if (first.failure) return first;
  checkTokens(first.document, exchange, speaking, spoken, context);
  const judged = first.document.choices.map((choice) => judge(choice, spoken, backend.kind === 'Provider'));
  const [only] = judged;
  if (judged.length === 1 && only && backend.kind === 'Model') {
    const further = await resolve(asking, first.document, only, spoken);
    if (further.failure) return further;
    return result(further.document, [further.judgement], spoken, labels, asking);
  }
  return result(first.document, judged, spoken, labels, asking);
}

/** Says once for each model which labels it can never answer, as their token is not one of its own. */
function checkTokens(
  { choices }: AnswerDocument,
  { route }: Exchange,
  speaking: Speaking,
  spoken: SpokenLabels,
  { log }: RouterContext,
): void {
  const { backend } = speaking;
  if (speaking.tokensAreChecked || backend.kind !== 'Model' || backend.engine !== 'LlamaCpp') return;
  const [position] = (choices[0] && readPositions(choices[0])) ?? [];
  const unknown = position && unknownTokens(position, spoken);
  if (!unknown) return;
  speaking.tokensAreChecked = true;
  if (unknown.length === 0) return;
  const { model } = backend;
  log.warn(
    { route: route?.longName, model, labels: unknown },
    'labels are never answered: the model has no such token',
  );
}

/** What one choice tells: probabilities, and the label that its text is. */
interface Judgement {
  estimate: Estimate | undefined;
  text: number | undefined;
}

function judge(choice: Choice, { compiled, byText, aliases }: SpokenLabels, isProvider: boolean): Judgement {
  const said = textOf(choice)?.trim() ?? '';
  const text = byText.get(said) ?? aliases.get(said);
  // What a provider was not held to must be a label as it stands: its first word may be that of a sentence.
  if (isProvider && !byText.has(said)) return { estimate: undefined, text };
  const positions = readPositions(choice);
  return { estimate: positions && estimateOf(positions, compiled), text };
}

/** Asks on while labels that begin alike could still make another answer the likeliest, or nothing was seen of any label. */
async function resolve(
  asking: Asking,
  first: AnswerDocument,
  judgement: Judgement,
  spoken: SpokenLabels,
): Promise<{ document: AnswerDocument; judgement: Judgement; failure?: never } | { failure: Failure }> {
  let { estimate, text } = judgement;
  let document = first;
  if (!estimate && text === undefined && !spoken.first.whole) {
    const whole = await asking.ask(spoken.whole);
    if (whole.failure) return whole;
    document = whole.document;
    ({ estimate, text } = judge(document.choices[0] as Choice, spoken, false));
  }
  for (let more = mostQuestions; estimate && more > 0; more--) {
    const open = openLabels(estimate, spoken);
    if (!open) break;
    const answer = await asking.ask(questionAmong(spoken, open));
    if (answer.failure) return answer;
    const positions = readPositions(answer.document.choices[0] as Choice);
    const among = positions && estimateOf(positions, spoken.compiled, open);
    if (!among) break;
    document = answer.document;
    estimate = refine(estimate, open, among);
  }
  return { document, judgement: { estimate, text } };
}

function result(
  document: AnswerDocument,
  judgements: readonly Judgement[],
  spoken: SpokenLabels,
  labels: LabelSet,
  asking: Asking,
): Labelled {
  const verdicts: LabelVerdict[] = [];
  for (const [at, { estimate, text }] of judgements.entries()) {
    const verdict = estimate
      ? verdictOf(estimate, spoken, labels)
      : text !== undefined && { answer: spoken.answerOf[text] as number, confidence: undefined };
    if (!verdict)
      return { failure: invalidOutput(asking.backendName, document.choices[at]?.finish_reason === 'length') };
    verdicts.push({ ...verdict, label: labels.answers[verdict.answer] as string });
  }
  if (asking.questions > 1 && asking.usage) setUsage(document, asking.usage);
  return { document, verdicts, usage: asking.usage };
}
