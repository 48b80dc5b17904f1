import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseCsv } from './csv.ts';
import { shuffled } from './few-shot.ts';
import type { LabelledMessage } from './predict.ts';

/** The example whose specialist is measured. */
export const ticketTriageFolder = join(import.meta.dirname, '../../examples/ticket-triage');

/** One of the labels that the specialist was trained to say. */
export interface Intent {
  name: string;
  /** The one token that it says. */
  token: string;
  queue: string;
}

/** The messages and labels of `examples/ticket-triage`. */
export interface TicketTriage {
  intents: Intent[];
  queues: { name: string; description: string }[];
  /** The queue's index of each intent's index. */
  queueOf: number[];
  /** By their intents. */
  messages: Record<Split, LabelledMessage[]>;
}

export type Split = 'train' | 'validation' | 'test';

/** Reads the example's data and tables. Each part's messages are in the order of their digests: any of its beginnings is a fair sample. */
export async function readTicketTriage(folder = ticketTriageFolder): Promise<TicketTriage> {
  const read = async (name: string): Promise<Record<string, string>[]> =>
    parseCsv(await readFile(join(folder, name), 'utf8'));
  const [rows, intentRows, queueRows] = await Promise.all(['messages.csv', 'intents.csv', 'queues.csv'].map(read));
  const queues = (queueRows ?? []).map(({ queue = '', about = '' }) => ({ name: queue, description: about }));
  const intents = (intentRows ?? []).map(({ intent = '', token = '', queue = '' }) => ({
    name: intent,
    token: ` ${token}`,
    queue,
  }));
  const messages: TicketTriage['messages'] = { train: [], validation: [], test: [] };
  for (const { text = '', category = '' } of rows ?? []) {
    const cleaned = clean(text);
    messages[splitOf(cleaned)].push({ text: cleaned, label: category });
  }
  const names = queues.map(({ name }) => name);
  return {
    intents,
    queues,
    queueOf: intents.map(({ queue }) => names.indexOf(queue)),
    messages: {
      train: shuffled(messages.train),
      validation: shuffled(messages.validation),
      test: shuffled(messages.test),
    },
  };
}

/** The same messages by their queues. */
export function byQueue(messages: readonly LabelledMessage[], intents: readonly Intent[]): LabelledMessage[] {
  const queues = new Map(intents.map(({ name, queue }) => [name, queue]));
  return messages.map(({ text, label }) => ({ text, label: queues.get(label) ?? '' }));
}

/** The text on one line with single blanks, as `training/task.py` has it. */
export function clean(text: string): string {
  return text.split(/\s+/).filter(Boolean).join(' ');
}

/** The part of the data that a cleaned text belongs to, by its content alone, as `training/task.py` has it. */
export function splitOf(text: string): Split {
  const bucket = BigInt(`0x${createHash('sha256').update(text.toLowerCase()).digest('hex')}`) % 10n;
  if (bucket === 0n) return 'validation';
  return bucket === 1n ? 'test' : 'train';
}

/** The prompt that the specialist was trained on. */
export function specialistQuestion(text: string): { prompt: string } {
  return { prompt: `Message: ${text}\nLabel:` };
}
