import { describe, expect, it } from 'vitest';
import type { Prediction } from '../../quality/prediction.ts';
import { figuresTable, splitFigures, temperatures } from './triage-figures.ts';

/** Four intents in two queues. */
const queueOf = [0, 0, 1, 1];
const sure = (truth: number, answer: number, probability: number): Prediction => ({
  truth,
  probabilities: [0, 1, 2, 3].map((label) => (label === answer ? probability : (1 - probability) / 3)),
});
/** Nine of ten answers are right; the tenth names the other intent of the same queue. */
const predictions = [...Array.from({ length: 9 }, (_, index) => sure(index % 4, index % 4, 0.99)), sure(0, 1, 0.6)];

describe('the figures of a triage specialist', () => {
  it('count an intent of the right queue as a right queue', () => {
    const { queues, intents } = splitFigures(predictions, queueOf, { queues: 1, intents: 1 });
    expect(queues.accuracy).toMatchObject({ successes: 10, n: 10 });
    expect(intents.accuracy).toMatchObject({ successes: 9, n: 10 });
  });

  it('find the errors where the least confident answers are', () => {
    const { intents } = splitFigures(predictions, queueOf, { queues: 1, intents: 1 });
    expect(intents.riskAtCoverage['70']).toMatchObject({ successes: 0, n: 7 });
    expect(intents.riskAtCoverage['90']).toMatchObject({ successes: 0, n: 9 });
  });

  it('have a temperature above 1 for a model that is too sure', () => {
    const tooSure = [...Array.from({ length: 7 }, () => sure(2, 2, 0.999)), ...[0, 1, 3].map((t) => sure(t, 2, 0.999))];
    const { intents } = temperatures(tooSure, queueOf);
    expect(intents).toBeGreaterThan(1);
    const { calibrationError } = splitFigures(tooSure, queueOf, { queues: 1, intents }).intents;
    expect(calibrationError.tempered).toBeLessThan(calibrationError.raw);
  });

  it('are a table with a column for each question and split', () => {
    const figures = splitFigures(predictions, queueOf, { queues: 1, intents: 1 });
    const [head, , , right] = figuresTable({ validation: figures }).split('\n');
    expect(head).toBe('| | queues, validation | intents, validation |');
    expect(right).toBe('| right, % | 100.0 (72.2–100.0) | 90.0 (59.6–98.2) |');
  });
});
