import { describe, expect, it } from 'vitest';
import { byQueue, clean, readTicketTriage, splitOf } from './ticket-triage.ts';

describe('the part of the data that a text belongs to', () => {
  it.each([
    ['Where is my card?', 'train'],
    ['WHERE is my card?', 'train'],
    ['My card was swallowed', 'test'],
    ['Why was I charged?', 'validation'],
    ['Überweisung nicht da?', 'train'],
  ])('of %j is %s, as training/task.py says', (text, split) => {
    expect(splitOf(text)).toBe(split);
  });

  it('is that of the text on one line', () => {
    expect(clean('  Where\n is\tmy  card? ')).toBe('Where is my card?');
  });
});

describe('examples/ticket-triage', async () => {
  const { messages, intents, queues, queueOf } = await readTicketTriage();

  it('has an intent for every message, and a queue for every intent', () => {
    const names = new Set(intents.map(({ name }) => name));
    const all = [...messages.train, ...messages.validation, ...messages.test];
    expect(all.filter(({ label }) => !names.has(label))).toEqual([]);
    expect(new Set(all.map(({ label }) => label)).size).toBe(names.size);
    expect(queueOf.every((queue) => queue >= 0 && queue < queues.length)).toBe(true);
    expect(byQueue(messages.test, intents).every(({ label }) => queues.some(({ name }) => name === label))).toBe(true);
  });

  it('has a token of its own for every intent', () => {
    expect(new Set(intents.map(({ token }) => token)).size).toBe(intents.length);
    expect(intents.filter(({ token }) => !/^ \S+$/.test(token))).toEqual([]);
  });

  it('has about a tenth of the messages for each of validation and test, and none of them in two parts', () => {
    const { train, validation, test } = messages;
    for (const part of [validation, test]) expect(part.length / train.length).toBeCloseTo(1 / 8, 1);
    const split = new Map<string, string>();
    for (const [name, part] of Object.entries(messages))
      for (const { text } of part) split.set(`${text.toLowerCase()} in ${name}`, text.toLowerCase());
    expect(new Set(split.values()).size).toBe(split.size);
  });
});
