import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';

/** What a message says of an order, as `examples/extraction/schema.json` describes it. */
export interface OrderRecord {
  order: string | null;
  amount: number | null;
  currency: string | null;
  date: string | null;
  issue: string;
}

export const fieldNames = ['order', 'amount', 'currency', 'date', 'issue'] as const;
export type FieldName = (typeof fieldNames)[number];

/** A synthetic message with the record that belongs to it. */
export interface OrderMessage {
  text: string;
  record: OrderRecord;
  /** The record as the model learned to write it. */
  json: string;
}

export interface ExtractionTask {
  schema: unknown;
  /** The record in a model's answer; undefined where the answer is no JSON that the schema accepts. */
  parse: (answer: string) => OrderRecord | undefined;
  validation: OrderMessage[];
  test: OrderMessage[];
  /** What a model that was not trained for the task is shown before the message. */
  shots: OrderMessage[];
}

export const exampleFolder = join(import.meta.dirname, '..', '..', '..', 'examples', 'extraction');

/** Every issue twice: more would make the base model's prompt longer, not better. */
const shotCount = 14;

/** The data of the example folder. */
export async function readTask(folder = exampleFolder): Promise<ExtractionTask> {
  const read = (name: string): Promise<string> => readFile(join(folder, name), 'utf8');
  const schema = JSON.parse(await read('schema.json')) as unknown;
  const [sample, validation, test] = await Promise.all(
    ['train-sample.jsonl', 'validation.jsonl', 'test.jsonl'].map(async (name) => parseMessages(await read(name))),
  );
  return {
    schema,
    parse: recordParser(schema),
    validation: validation as OrderMessage[],
    test: test as OrderMessage[],
    shots: (sample as OrderMessage[]).slice(0, shotCount),
  };
}

/** JSON Lines of `{"text": …, "record": {…}}`, the record last. */
export function parseMessages(lines: string): OrderMessage[] {
  return lines
    .split('\n')
    .filter(Boolean)
    .map((line) => {
      const { text, record } = JSON.parse(line) as { text: string; record: OrderRecord };
      return { text, record, json: line.slice(line.lastIndexOf('"record":') + '"record":'.length, -1) };
    });
}

/** Accepts what a JSON schema accepts. */
export function recordParser(schema: unknown): ExtractionTask['parse'] {
  const accepted = z.fromJSONSchema(schema as Parameters<typeof z.fromJSONSchema>[0]);
  return (answer) => {
    try {
      const result = accepted.safeParse(JSON.parse(answer));
      return result.success ? (result.data as OrderRecord) : undefined;
    } catch {
      return undefined;
    }
  };
}

/** The prompt that the specialist was trained on; training/extraction.py has the same. */
export function prompt(text: string): string {
  return `Message: ${text}\nJSON:`;
}

/** The same with examples and a sentence before it, for a model that has not been trained for the task. */
export function fewShotPrompt(text: string, shots: readonly OrderMessage[]): string {
  const shown = shots.map((shot) => `${prompt(shot.text)}${shot.json}\n\n`).join('');
  return `What a customer's message says of the order, as JSON; null where it does not say.\n\n${shown}${prompt(text)}`;
}
