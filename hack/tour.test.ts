import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { examplesIn, parseMessages, summary } from './tour.ts';

const example = (file: string): string =>
  readFileSync(join(import.meta.dirname, '..', 'examples', 'quickstart', file), 'utf8');

describe("the tour's messages", () => {
  const messages = parseMessages(example('messages.csv'));
  const policy = parse(example('ticket-triage.yaml')) as { spec: { output: { labels: { name: string }[] } } };
  const labels = policy.spec.output.labels.map(({ name }) => name);

  it('are fifty, in queues that the policy has as labels, each of them used', () => {
    expect(messages).toHaveLength(50);
    expect(new Set(messages.map(({ queue }) => queue))).toEqual(new Set(labels));
  });

  it('keep their commas and quotes', () => {
    expect(messages.map(({ text }) => text)).toContain('I heard you have an auto-top up option, where do I find that?');
    expect(parseMessages('text,category,queue\n"Say ""hello"", please",greeting,account\n')).toEqual([
      { text: 'Say "hello", please', queue: 'account' },
    ]);
  });

  it('are not among the examples that the prompt shows, two of each queue', () => {
    const prompt = example('prompt.txt');
    const shown = [...prompt.matchAll(/^Message: (.+)\nQueue:\n(\w+)$/gm)];
    expect(examplesIn(prompt)).toBe(2 * labels.length);
    for (const label of labels) expect(shown.filter(([, , queue]) => queue === label)).toHaveLength(2);
    const texts = new Set(messages.map(({ text }) => text));
    expect(shown.filter(([, text = '']) => texts.has(text))).toEqual([]);
    expect(prompt.endsWith('\n\nMessage: {message}\nQueue:\n')).toBe(true);
  });
});

describe('the summary of the tour', () => {
  it('tells for each backend how many, how fast and how many right', () => {
    const messages = [
      { text: 'a', queue: 'card' },
      { text: 'b', queue: 'fee' },
      { text: 'c', queue: 'fee' },
    ];
    const answers = [
      { text: 'card', backend: 'specialist', ms: 30 },
      { text: 'cash', backend: 'general', ms: 90 },
      { text: 'fee', backend: 'specialist', ms: 10 },
    ];
    expect(summary(messages, answers, 4)).toEqual([
      'general: 1 answers, median 90 ms, 0 as a person would sort them',
      'specialist: 2 answers, median 30 ms, 2 as a person would sort them',
      'Neither model was trained for this: they guess from 4 examples in the prompt.',
    ]);
  });
});
