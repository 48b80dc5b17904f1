import { setTimeout as sleep } from 'node:timers/promises';
import OpenAI from 'openai';
import { UserError } from '../process/errors.ts';
import { inParallel } from './in-parallel.ts';
import { byQueue, readTicketTriage } from './proof/ticket-triage.ts';

/** Where an application finds the router, and what it shows there. */
export interface Endpoint {
  /** Base URL, as an OpenAI client takes it. */
  url: string;
  key: string;
}

/** A customer's message and the queue that a person would choose. */
export interface Message {
  text: string;
  queue: string;
}

/** What came back for a message. */
export interface Answer {
  queue: string;
  /** The backend of the policy, as the router's header says. */
  backend: string;
  /** The probability of the queue, as the router's header says; undefined: unknown. */
  confidence?: number | undefined;
  ms: number;
}

/** The same messages, sent to one model name. */
export interface Round {
  /** What readers call it. */
  name: string;
  /** The model name that was sent. */
  model: string;
  answers: Answer[];
  /** While its messages were under way. */
  seconds: number;
}

const rounds = [
  { name: 'specialist', model: 'specialist-alone' },
  { name: 'general', model: 'general-alone' },
  { name: 'split', model: 'ticket-triage' },
];
const messageCount = 50;
const atOnce = 2;
/** So many messages to one model, then as many to the next. */
const turn = 10;
/** So many of the answers are printed. */
const shown = 12;

/**
 * Sends the same messages, which no model was trained on, to the specialist, to the general model and to both by the policy
 * that divides them, by the client that applications use, and prints who knew what. A request that fails is a `UserError`:
 * in a tour none may.
 */
export async function printTour({ url, key }: Endpoint): Promise<void> {
  const client = new OpenAI({ baseURL: url, apiKey: key, maxRetries: 0, timeout: 300_000 });
  const messages = await tourMessages();
  await untilServed(client);
  console.log(`\n${messageCount} messages of bank customers, held out of training, to ${url}`);
  const done: Round[] = rounds.map((round) => ({ ...round, answers: [], seconds: 0 }));
  for (const { name, model } of done) {
    // The first message to a model has the whole prompt before it; for the next ones the engine still knows its beginning.
    const first = await ask(client, model, messages[0]?.text ?? '');
    console.log(`  ${name} ("${model}"): its first answer took ${first.ms} ms`);
  }
  // By turns, so that whatever else this machine does meanwhile slows all of them.
  for (let from = 0; from < messages.length; from += turn) {
    for (const round of done) await send(client, round, messages.slice(from, from + turn));
  }
  console.log('');
  for (const line of examples(messages, done)) console.log(line);
  console.log('');
  for (const line of table(messages, done)) console.log(line);
}

/** Of the part of the data that is neither trained nor chosen upon, those first in the order of their digests. */
export async function tourMessages(): Promise<Message[]> {
  const { messages, intents } = await readTicketTriage();
  return byQueue(messages.test.slice(0, messageCount), intents).map(({ text, label }) => ({ text, queue: label }));
}

/** Sends some more messages to a round's model. */
async function send(client: OpenAI, round: Round, messages: readonly Message[]): Promise<void> {
  const before = round.answers.length;
  const began = performance.now();
  await inParallel(messages.length, atOnce, async (index) => {
    round.answers[before + index] = await ask(client, round.model, messages[index]?.text ?? '');
  });
  round.seconds += (performance.now() - began) / 1000;
}

async function ask(client: OpenAI, model: string, text: string): Promise<Answer> {
  const began = performance.now();
  const { data, response } = await client.chat.completions
    .create({ model, messages: [{ role: 'user', content: text }] })
    .withResponse()
    .catch((error: unknown) => {
      throw new UserError('TourFailed', `the message "${text}" to "${model}" got no answer`, { cause: error });
    });
  const confidence = response.headers.get('x-cadre-confidence');
  return {
    queue: data.choices[0]?.message.content ?? '',
    backend: response.headers.get('x-cadre-backend') ?? 'unknown',
    confidence: confidence === null ? undefined : Number(confidence),
    ms: Math.round(performance.now() - began),
  };
}

/** The router learns of a policy a moment after its status says that it is ready. */
async function untilServed(client: OpenAI): Promise<void> {
  const from = Date.now();
  for (;;) {
    const problem = await client.models.list().then(
      ({ data }) => {
        const served = data.map(({ id }) => id);
        return rounds.every(({ model }) => served.includes(model)) ? undefined : `it serves ${served.join(', ')}`;
      },
      (error: unknown) => error,
    );
    if (problem === undefined) return;
    if (Date.now() - from > 30_000) {
      const names = rounds.map(({ model }) => model).join(', ');
      throw new UserError('NotServed', `the router does not serve all of ${names} after 30 s`, { cause: problem });
    }
    await sleep(200);
  }
}

/** The first messages with what each round answered: `✓` where it is what a person would choose, and how sure it was. */
export function examples(messages: readonly Message[], done: readonly Round[]): string[] {
  const row = (message: string, queue: string, cells: string[]): string =>
    [cut(message, 52).padEnd(52), queue.padEnd(8), ...cells.map((cell) => cell.padEnd(16))].join('  ').trimEnd();
  const heads = done.map(({ name }) => name);
  return [
    row('message', 'queue', heads),
    ...messages.slice(0, shown).map(({ text, queue }, index) => {
      const cells = done.map(({ name, answers }) => {
        const answer = answers[index];
        if (answer === undefined) return '';
        const by = answer.backend === name ? '' : ` by ${answer.backend}`;
        const sure = answer.confidence === undefined ? '' : ` ${answer.confidence.toFixed(2)}`;
        return `${answer.queue === queue ? '✓' : '✗'} ${answer.queue}${sure}${by}`;
      });
      return row(text, queue, cells);
    }),
  ];
}

/** What each round came to: how often a person would have chosen the same, who answered, how fast. */
export function table(messages: readonly Message[], done: readonly Round[]): string[] {
  const row = (cells: string[]): string =>
    cells
      .map((cell, at) => cell.padEnd(widths[at] ?? 0))
      .join('  ')
      .trimEnd();
  const widths = [10, 16, 34, 12, 9];
  return [
    row(['', 'right', 'answered by', 'requests/s', 'median']),
    ...done.map(({ name, answers, seconds }) => {
      const right = answers.filter(({ queue }, index) => queue === messages[index]?.queue).length;
      const times = answers.map(({ ms }) => ms).toSorted((a, b) => a - b);
      return row([
        name,
        `${right} of ${answers.length}, ${percent(right, answers.length)}`,
        sharesOf(answers),
        (answers.length / seconds).toFixed(1),
        `${times[Math.floor(times.length / 2)] ?? 0} ms`,
      ]);
    }),
  ];
}

function sharesOf(answers: readonly Answer[]): string {
  const by = Map.groupBy(answers, ({ backend }) => backend);
  return [...by]
    .toSorted(([, a], [, b]) => b.length - a.length)
    .map(([backend, some]) => `${backend} ${percent(some.length, answers.length)}`)
    .join(', ');
}

function percent(part: number, whole: number): string {
  return `${Math.round((100 * part) / whole)} %`;
}

function cut(text: string, length: number): string {
  return text.length > length ? `${text.slice(0, length - 1)}…` : text;
}
