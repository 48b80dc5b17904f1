import { describe, expect, it } from 'vitest';
import { pick, promptsFor, shuffled } from './few-shot.ts';

const labels = [
  { name: 'card', description: 'cards' },
  { name: 'cash', description: 'cash machines' },
];
const training = Array.from({ length: 20 }, (_, index) => ({
  text: `message ${index}`,
  label: index % 2 === 0 ? 'card' : 'cash',
}));

describe('examples of a prompt', () => {
  it('are as many of each label, and the same whatever the order of the file', () => {
    const picked = pick(labels, training, 3);
    expect(picked.map(({ label }) => label).toSorted()).toEqual(['card', 'card', 'card', 'cash', 'cash', 'cash']);
    expect(pick(labels, training.toReversed(), 3)).toEqual(picked);
  });

  it('are mixed', () => {
    expect(shuffled(training)).not.toEqual(training);
    expect(shuffled(training).toSorted((a, b) => training.indexOf(a) - training.indexOf(b))).toEqual(training);
  });
});

describe('prompts', () => {
  it('tell the labels with their meaning, then the examples, and end where the label is to stand', () => {
    const [prompt] = promptsFor(labels, training, { chat: false, shots: [1] });
    expect(prompt?.name).toBe('2 examples');
    const question = prompt?.question('Where is it?') as { prompt: string };
    expect(question.prompt).toMatch(/^Sort [^\n]+ Queues:\ncard: cards\ncash: cash machines\n\nMessage: message \d+\n/);
    expect(question.prompt.match(/Queue: (card|cash)\n\n/g)?.length).toBe(2);
    expect(question.prompt.endsWith('\n\nMessage: Where is it?\nQueue:')).toBe(true);
  });

  it('of a model that is tuned to chat are a chat, too', () => {
    const prompts = promptsFor(labels, training, { chat: true, shots: [1, 2] });
    expect(prompts.map(({ name }) => name)).toEqual(['no examples', '2 examples', '4 examples']);
    expect(prompts[0]?.question('Hi')).toMatchObject({
      messages: [{ role: 'system' }, { role: 'user', content: 'Hi' }],
    });
  });
});
