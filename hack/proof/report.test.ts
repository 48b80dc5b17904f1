import { describe, expect, it } from 'vitest';
import { type Contender, type ContenderFigures, comparison, figuresOf } from './figures.ts';
import { comparisonSentence, type ProofFigures, reportPage } from './report.ts';

/** Predictions of two labels: so many sure ones that are right, and so many unsure ones, half of them right. */
function contender(key: string, sure: number, unsure: number): Contender {
  const predictions = [
    ...Array.from({ length: sure }, () => ({ truth: 0, probabilities: [0.95, 0.05] })),
    ...Array.from({ length: unsure }, (_, index) => ({ truth: index % 2, probabilities: [0.6, 0.4] })),
  ];
  return { key, name: `The ${key}`, question: 'queues', validation: predictions, test: predictions };
}

const [specialist, general] = [contender('specialist', 90, 10), contender('general', 40, 60)];
const figures: ProofFigures = {
  date: '2026-01-01',
  command: 'make proof',
  machine: '2 cores (a CPU)',
  versions: { 'llama-server': '0.7.0' },
  adapter: 'abc',
  messages: { train: 8014, validation: 100, test: 100 },
  labels: { queues: 2, intents: 7 },
  yardstick: { c: { intents: 30, queues: 10 }, trainingCpuSeconds: 61.4 },
  prompts: [],
  contenders: [
    figuresOf({
      ...specialist,
      cost: { medianMilliseconds: 55.4, tokens: { prompt: 19.2, cached: 3, completion: 1 } },
    }),
    figuresOf(general),
  ],
  comparisons: [comparison(specialist, general)],
};

describe('the page', () => {
  const page = reportPage(figures);

  it('tells each contender with interval, time and tokens', () => {
    expect(page).toContain('| The specialist | 95.0 % (88.8–97.8) |  | 55 | 19 + 1 |');
    expect(page).toContain('| The general | 70.0 % (60.4–78.1) |  |  |  |');
  });

  it('tells calibration before and after, and risk by coverage', () => {
    expect(page).toMatch(/\| The specialist \| queues \| \d\.\d\d \| \d+\.\d % → \d+\.\d % \| 0\.\d{3} → 0\.\d{3} \|/);
    expect(page).toContain('| The specialist | queues | 0.0 % (0.0–7.1) | 0.0 % (0.0–5.2) | 0.0 % (0.0–4.1) | ');
  });

  it('says where the temperature does not help', () => {
    const [first] = figures.contenders as [ContenderFigures];
    const pageOf = (raw: number, tempered: number): string =>
      reportPage({ ...figures, contenders: [{ ...first, calibrationError: { raw, tempered } }] });
    expect(pageOf(0.01, 0.02)).toContain('does not lower the calibration error of: The specialist (queues).');
    expect(pageOf(0.02, 0.01)).not.toContain('does not lower');
  });

  it('tells what escalation to an assumed model gives, and from where on it makes answers worse', () => {
    expect(page).toContain('| queues | 88 % | 95.0 % | 98.8 % | 10 % | 42 % |');
    expect(page).toContain('| queues | 95 % | 95.0 % | 99.5 % | 10 % | never |');
  });

  it('tells how it was measured', () => {
    expect(page).toContain('`make proof` on 2026-01-01, on 2 cores (a CPU); llama-server 0.7.0.');
    expect(page).toContain('8,014 for training');
    expect(page).toContain('a model of its own, with C = 10');
  });

  it('has no figure that is none', () => {
    expect(page).not.toMatch(/NaN|undefined|Infinity/);
  });
});

describe('a comparison', () => {
  it('is a sentence that tells what it is of, and whether it may be chance', () => {
    expect(comparisonSentence(figures.comparisons[0] as (typeof figures.comparisons)[0], figures)).toBe(
      "Queues, The specialist against The general: only the former is right on 25 of 100 messages, only the latter on 0: a difference (McNemar's exact test, p < 0.001).",
    );
  });
});
