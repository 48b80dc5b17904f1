import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import OpenAI from 'openai';
import { UserError } from '../process/errors.ts';
import { inParallel } from './in-parallel.ts';

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

export interface Answer {
  text: string;
  /** The backend of the policy, as the router's header says. */
  backend: string;
  ms: number;
}

const model = 'ticket-triage';
const atOnce = 2;

/**
 * Sends the messages of `folder` through the router, by the client that applications use, and prints each with its answer
 * and who gave it. A request that fails is a `UserError`: in a tour none may.
 */
export async function printTour(endpoint: Endpoint, folder: string): Promise<void> {
  const client = new OpenAI({ baseURL: endpoint.url, apiKey: endpoint.key, maxRetries: 0, timeout: 300_000 });
  const [messages, prompt] = await Promise.all([
    readFile(join(folder, 'messages.csv'), 'utf8').then(parseMessages),
    readFile(join(folder, 'prompt.txt'), 'utf8'),
  ]);
  await untilServed(client);
  console.log(`\n${messages.length} messages of bank customers to the model "${model}" at ${endpoint.url}\n`);
  console.log(row('message', 'answer', 'given by', 'ms'));
  const answers: Answer[] = [];
  let printed = 0;
  await inParallel(messages.length, atOnce, async (index) => {
    answers[index] = await ask(client, prompt, messages[index]?.text ?? '');
    for (let next = answers[printed]; next; next = answers[printed]) {
      console.log(row(messages[printed]?.text ?? '', next.text, next.backend, String(next.ms)));
      printed++;
    }
  });
  console.log('');
  for (const line of summary(messages, answers, examplesIn(prompt))) console.log(line);
  await printChat(client);
}

async function ask(client: OpenAI, prompt: string, text: string): Promise<Answer> {
  const began = performance.now();
  const { data, response } = await client.completions
    .create({ model, prompt: prompt.trimStart().replace('{message}', () => text), max_tokens: 8, temperature: 0 })
    .withResponse()
    .catch((error: unknown) => {
      throw new UserError('TourFailed', `the message "${text}" got no answer`, { cause: error });
    });
  return {
    text: data.choices[0]?.text ?? '',
    backend: response.headers.get('x-cadre-backend') ?? 'unknown',
    ms: Math.round(performance.now() - began),
  };
}

async function printChat(client: OpenAI): Promise<void> {
  const question = 'A customer writes: "My new card arrived today, thank you!" Answer in one short, friendly sentence.';
  const stream = await client.chat.completions.create({
    model: 'assistant',
    messages: [{ role: 'user', content: question }],
    max_tokens: 60,
    temperature: 0,
    stream: true,
  });
  console.log(`\nA chat with "assistant", streamed.\n  > ${question}`);
  process.stdout.write('  < ');
  for await (const { choices } of stream) process.stdout.write(choices[0]?.delta.content ?? '');
  console.log('');
}

/** The router learns of a policy a moment after its status says that it is ready. */
async function untilServed(client: OpenAI): Promise<void> {
  const from = Date.now();
  for (;;) {
    const problem = await client.models.list().then(
      ({ data }) =>
        data.some(({ id }) => id === model) ? undefined : `it serves ${data.map(({ id }) => id).join(', ')}`,
      (error: unknown) => error,
    );
    if (problem === undefined) return;
    if (Date.now() - from > 30_000) {
      throw new UserError('NotServed', `the router does not serve ${model} after 30 s`, { cause: problem });
    }
    await sleep(200);
  }
}

/** Rows of text, category and queue: RFC 4180, one line a record. */
export function parseMessages(csv: string): Message[] {
  const [, ...lines] = csv.trim().split('\n');
  return lines.map((line) => {
    const fields = [...line.matchAll(/(?:^|,)(?:"((?:[^"]|"")*)"|([^",]*))/g)];
    const [text = '', , queue = ''] = fields.map((field) => field[1]?.replaceAll('""', '"') ?? field[2] ?? '');
    return { text, queue };
  });
}

/** How many messages a prompt shows with their answers, before the one that it asks about. */
export function examplesIn(prompt: string): number {
  return [...prompt.matchAll(/^Message: /gm)].length - 1;
}

/** What each backend did: its share, how long it took, and how often a person would have chosen the same. */
export function summary(messages: readonly Message[], answers: readonly Answer[], examples: number): string[] {
  const given = answers.map((answer, index) => ({ ...answer, isRight: answer.text === messages[index]?.queue }));
  const line = (name: string, some: typeof given): string => {
    const times = some.map(({ ms }) => ms).toSorted((a, b) => a - b);
    const right = some.filter(({ isRight }) => isRight).length;
    return `${name}: ${some.length} answers, median ${times[Math.floor(times.length / 2)] ?? 0} ms, ${right} as a person would sort them`;
  };
  const backends = [...new Set(given.map(({ backend }) => backend))].toSorted((a, b) => a.localeCompare(b));
  return [
    ...backends.map((name) =>
      line(
        name,
        given.filter(({ backend }) => backend === name),
      ),
    ),
    `Neither model was trained for this: they guess from ${examples} examples in the prompt.`,
  ];
}

function row(message: string, answer: string, backend: string, ms: string): string {
  const cut = message.length > 60 ? `${message.slice(0, 59)}…` : message;
  return `${cut.padEnd(60)}  ${answer.padEnd(9)} ${backend.padEnd(11)} ${ms.padStart(6)}`;
}
