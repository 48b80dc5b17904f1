import { accuracy, type Proportion } from '../../quality/interval.ts';
import { type Prediction, scoredAnswer } from '../../quality/prediction.ts';
import { cacheDir, type Log } from '../cache.ts';
import { digest, inFile } from './answers.ts';
import { type Prompt, promptsFor } from './few-shot.ts';
import { answersOf, type Contender, type Cost, costOf } from './figures.ts';
import { type Asking, type LabelledMessage, predict, type Said, type ServedPrediction } from './predict.ts';
import type { Served } from './serve.ts';
import { byQueue, specialistQuestion, type TicketTriage } from './ticket-triage.ts';
import { type Yardstick, yardstick } from './yardstick.ts';

/** So many validation messages decide between prompts. */
export const promptTrials = 200;

/** So many messages are asked again for the time that they take: answers of earlier runs tell of a machine as it was then. */
const timeTrials = 100;

/** A contender without the question, where it answers both. */
type Answering = Omit<Contender, 'question'>;

/** The specialist: both parts of the data, by intents. */
export async function measureSpecialist(task: TicketTriage, engine: Served, log: Log): Promise<Answering> {
  const asking = { labels: task.intents, question: specialistQuestion };
  const validation = await askAll('specialist, validation', engine, task.messages.validation, asking, log);
  const test = await askAll('specialist', engine, task.messages.test, asking, log);
  const name = 'Specialist: SmolLM2 135M with the adapter';
  return { key: 'specialist', name, validation, test, cost: await timed(engine, task.messages.test, asking) };
}

/** The specialist's weights, prompt and tokens, but without its adapter. */
export async function measureUntrained(task: TicketTriage, engine: Served, log: Log): Promise<Contender> {
  const asking = { labels: task.intents, question: specialistQuestion };
  const trial = task.messages.validation.slice(0, promptTrials);
  const validation = await askAll('without the adapter, validation', engine, trial, asking, log);
  const test = await askAll('without the adapter', engine, task.messages.test, asking, log);
  const name = 'SmolLM2 135M without the adapter, same prompt';
  return { key: 'untrained', name, question: 'intents', validation, test };
}

/** A model that was not trained for this. */
export interface GeneralModel {
  key: string;
  name: string;
  /** Whether it is tuned to chat. */
  chat: boolean;
  /** At most this many test messages. */
  limit: number;
}

/** How a prompt did on the validation messages that decide between prompts. */
export interface PromptTrial {
  model: string;
  prompt: string;
  right: Proportion;
  chosen: boolean;
}

/** A general model, asked for queues by the best of several prompts. */
export async function measureGeneral(
  { messages, intents, queues }: TicketTriage,
  engine: Served,
  { key, name, chat, limit, log }: GeneralModel & { log: Log },
): Promise<{ contender: Contender; prompts: PromptTrial[] }> {
  const trial = byQueue(messages.validation, intents).slice(0, promptTrials);
  const tried: { prompt: Prompt; validation: ServedPrediction[]; right: Proportion }[] = [];
  for (const prompt of promptsFor(queues, byQueue(messages.train, intents), { chat, shots: [2, 10] })) {
    const title = `${name}, ${prompt.name}, validation`;
    const validation = await askAll(title, engine, trial, { ...prompt, labels: queues }, log);
    const right = accuracy(validation.map(scoredAnswer));
    tried.push({ prompt, validation, right });
    log(`${title}: ${right.successes} of ${right.n} right`);
  }
  const best = tried.reduce((a, b) => (b.right.value > a.right.value ? b : a));
  const asked = byQueue(messages.test, intents).slice(0, limit);
  const prompted = best.prompt.name;
  const test = await askAll(`${name}, ${prompted}`, engine, asked, { ...best.prompt, labels: queues }, log);
  const contender = {
    key,
    name: `${name}, ${prompted} in its prompt`,
    question: 'queues',
    validation: best.validation,
    test,
    cost: await timed(engine, asked, { ...best.prompt, labels: queues }),
  } as const;
  const prompts = tried.map(({ prompt, right }) => ({
    model: name,
    prompt: prompt.name,
    right,
    chosen: prompt === best.prompt,
  }));
  return { contender, prompts };
}

/** The yardsticks of both questions, and how they were chosen. */
export interface Yardsticks {
  intents: Contender;
  queues: Contender;
  /** The C of each. */
  c: { intents: number; queues: number };
  /** Whether queues are sums over intents, or a model of their own: what is better on validation. */
  summed: boolean;
  trainingCpuSeconds: number;
  scikitLearn: string;
}

/** TF-IDF with logistic regression on the same messages. */
export async function measureYardsticks(task: TicketTriage, log: Log): Promise<Yardsticks> {
  const { messages, intents, queues, queueOf } = task;
  const byIntent = await yardstick(messages, intents.map(nameOf), log);
  const queued = {
    train: byQueue(messages.train, intents),
    validation: byQueue(messages.validation, intents),
    test: byQueue(messages.test, intents),
  };
  const direct = await yardstick(queued, queues.map(nameOf), log);
  const right = (predictions: readonly Prediction[]): number => accuracy(predictions.map(scoredAnswer)).value;
  const summed = right(answersOf(byIntent.validation, 1, queueOf)) >= right(direct.validation);
  return {
    intents: { ...yardstickContender(byIntent), question: 'intents' },
    queues: summed
      ? { ...yardstickContender(byIntent), question: 'queues', groupOf: queueOf }
      : { ...yardstickContender(direct), question: 'queues' },
    c: { intents: byIntent.c, queues: direct.c },
    summed,
    trainingCpuSeconds: byIntent.trainingCpuSeconds,
    scikitLearn: byIntent.scikitLearn,
  };
}

function yardstickContender({ validation, test, medianMilliseconds }: Yardstick): Answering {
  const name = 'TF-IDF and logistic regression';
  return { key: 'yardstick', name, validation, test, cost: { medianMilliseconds } };
}

function nameOf({ name }: { name: string }): string {
  return name;
}

async function timed(
  engine: Served,
  messages: readonly LabelledMessage[],
  asking: Omit<Asking, 'baseUrl'>,
): Promise<Cost> {
  return costOf(await predict(messages.slice(0, timeTrials), { ...asking, baseUrl: engine.url }));
}

/** Asks about all messages, but for what is known from earlier runs, and tells how long it will take. */
async function askAll(
  title: string,
  engine: Served,
  messages: readonly LabelledMessage[],
  asking: Omit<Asking, 'baseUrl'>,
  log: Log,
): Promise<ServedPrediction[]> {
  const store = await inFile<Said>(cacheDir('proof', 'labels', `${digest(engine.identity)}.jsonl`));
  const began = Date.now();
  let told = began;
  const onProgress = (done: number, asked: number): void => {
    const now = Date.now();
    if (now - told < 10_000 && done < messages.length) return;
    told = now;
    const left = asked === 0 ? 0 : ((now - began) / asked) * (messages.length - done);
    log(`${title}: ${done} of ${messages.length} messages, about ${Math.ceil(left / 1000)} s left`);
  };
  return predict(messages, { ...asking, baseUrl: engine.url, store, onProgress });
}
