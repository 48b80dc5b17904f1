import { describe, expect, it } from 'vitest';
import { splitOf } from './proof/ticket-triage.ts';
import { type Answer, examples, type Round, table, tourMessages } from './tour.ts';

describe("the tour's messages", async () => {
  const messages = await tourMessages();

  it('are fifty of the held-out part, of ten of the eleven queues', () => {
    expect(messages).toHaveLength(50);
    expect(messages.filter(({ text }) => splitOf(text) !== 'test')).toEqual([]);
    expect(new Set(messages.map(({ queue }) => queue)).size).toBe(10);
  });
});

describe('what the tour prints', () => {
  const messages = [
    { text: 'Where is my card?', queue: 'card' },
    { text: 'Why was I charged for that transfer to my sister in Spain?', queue: 'fee' },
  ];
  const answer = (queue: string, backend: string, confidence: number | undefined, ms: number): Answer => ({
    queue,
    backend,
    confidence,
    ms,
  });
  const done: Round[] = [
    {
      name: 'specialist',
      model: 'specialist-alone',
      answers: [answer('card', 'specialist', 0.987, 90), answer('fee', 'specialist', 0.61, 110)],
      seconds: 0.25,
    },
    {
      name: 'split',
      model: 'ticket-triage',
      answers: [answer('card', 'specialist', 0.987, 90), answer('cash', 'general', undefined, 800)],
      seconds: 2,
    },
  ];

  it('has answers beside what a person would choose, how sure each was, and who gave it where that is in question', () => {
    expect(examples(messages, done)).toEqual([
      'message                                               queue     specialist        split',
      'Where is my card?                                     card      ✓ card 0.99       ✓ card 0.99 by specialist',
      'Why was I charged for that transfer to my sister in…  fee       ✓ fee 0.61        ✗ cash by general',
    ]);
  });

  it('ends with what each came to', () => {
    expect(table(messages, done)).toEqual([
      '            right             answered by                         requests/s    median',
      'specialist  2 of 2, 100 %     specialist 100 %                    8.0           110 ms',
      'split       1 of 2, 50 %      specialist 50 %, general 50 %       1.0           800 ms',
    ]);
  });
});
