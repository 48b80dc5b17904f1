import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { estimateOf, openLabels, refine, verdictOf } from './estimate.ts';
import { type LabelSet, labelSet, questionAmong, spokenBy } from './label-set.ts';
import type { Position } from './positions.ts';

const setOf = (labels: string[], over: object = {}): LabelSet => labelSet({ labels, ...over }) as LabelSet;
/** A position at which the first of these tokens was said. */
const position = (tokens: Record<string, number>): Position => {
  const top = Object.entries(tokens).map(([token, p]) => ({ token, logprob: Math.log(p) }));
  return { chosen: top[0] as Position['chosen'], top };
};
const rounded = (values: Iterable<number>) => [...values].map((value) => Math.round(value * 1e4) / 1e4);
const names = ['card', 'card_arrival', 'card_linking', 'top_up'];
const { compiled } = setOf(names).trained;

describe('an estimate', () => {
  it('follows what was said to where one label is left, and leaves the rest where it went', () => {
    const estimate = estimateOf(
      [position({ card: 0.8, top: 0.2 }), position({ _: 0.9, '': 0.1 }), position({ arr: 0.75, link: 0.25 })],
      compiled,
    );
    expect(rounded(estimate?.probabilities ?? [])).toEqual([0.08, 0.54, 0.18, 0.2]);
    expect(estimate?.shared).toEqual([]);
  });

  it('keeps together what was not told apart', () => {
    const estimate = estimateOf([position({ top: 0.2, card: 0.8 })], compiled);
    expect(estimate?.shared).toEqual([{ labels: [0, 1, 2], mass: expect.closeTo(0.8) as number }]);
    expect(rounded(estimate?.probabilities ?? [])).toEqual([0, 0, 0, 0.2]);
  });

  it('begins after white space, but for a last word that is nothing else', () => {
    const label = position({ top: 1 });
    expect(rounded(estimateOf([position({ '\n': 0.9, card: 0.1 }), label], compiled)?.probabilities ?? [])).toEqual([
      0, 0, 0, 1,
    ]);
    expect(estimateOf([position({ ' ': 0.9, ' top': 0.1 })], compiled)?.probabilities[3]).toBe(1);
  });

  it('is none where nothing was said of a label', () => {
    expect(estimateOf([position({ The: 0.9, It: 0.1 })], compiled)).toBeUndefined();
    expect(estimateOf([], compiled)).toBeUndefined();
  });

  it('refined by another of the open labels alone sums to 1 as before', () => {
    const estimate = estimateOf([position({ top: 0.2, card: 0.8 })], compiled);
    const open = estimate?.shared[0]?.labels ?? [];
    const among = estimateOf([position({ card: 1 }), position({ _l: 0.5, _a: 0.25, '': 0.25 })], compiled, open);
    if (!estimate || !among) throw new TypeError('both tell of labels');
    const refined = refine(estimate, open, among);
    expect(rounded(refined.probabilities)).toEqual([0.2, 0.2, 0.4, 0.2]);
    expect(refined.shared).toEqual([]);
    expect(refine(estimate, [1, 2], among)).toBe(estimate);
  });
});

describe('labels are open', () => {
  const open = (tokens: Record<string, number>, over: object = {}) => {
    const { trained } = setOf(names, over);
    const estimate = estimateOf([position(tokens)], trained.compiled);
    return estimate && openLabels(estimate, trained);
  };

  it('while one of those that share may be the likeliest', () => {
    expect(open({ card: 0.6, top: 0.4 })).toEqual([0, 1, 2]);
    expect(open({ card: 0.4, top: 0.6 })).toBeUndefined();
  });

  it('not where all of them mean one answer', () => {
    const groups = [
      { name: 'cards', labels: names.slice(0, 3) },
      { name: 'money', labels: ['top_up'] },
    ];
    expect(open({ card: 0.6, top: 0.4 }, { groups })).toBeUndefined();
  });
});

describe('a verdict', () => {
  it('is one of the answers, with a probability, whatever the positions were', () => {
    const token = fc.constantFrom('card', ' card', '_', 'arrival', 'c', '', ' ', 'top', ' fee', 'x', '\n', 'card_l');
    const tokens = fc.uniqueArray(fc.record({ token, p: fc.double({ min: 1e-9, max: 1, noNaN: true }) }), {
      minLength: 1,
      maxLength: 8,
      selector: (one) => one.token,
    });
    const positions = fc.array(
      tokens.map((all) => position(Object.fromEntries(all.map((one) => [one.token, one.p / all.length])))),
      { maxLength: 5 },
    );
    const temperature = fc.constantFrom(0.5, 1, 1.4);
    fc.assert(
      fc.property(positions, temperature, (said, by) => {
        const set = setOf([...names, 'fee'], { temperature: by, tokens: [{ label: 'fee', token: ' fee' }] });
        const estimate = estimateOf(said, set.trained.compiled);
        if (!estimate) return;
        const shared = estimate.shared.reduce((sum, { mass }) => sum + mass, 0);
        expect(estimate.probabilities.reduce((sum, p) => sum + p, shared)).toBeCloseTo(1, 9);
        const { answer, confidence } = verdictOf(estimate, set.trained, set);
        expect(set.answers[answer]).toBeDefined();
        expect(confidence).toBeGreaterThan(0);
        expect(confidence).toBeLessThanOrEqual(1);
        expect(estimate.seen.some((one) => one === 1)).toBe(true);
      }),
    );
  });

  it('never is a label that was not seen, and is no surer than that allows', () => {
    const set = setOf(['a', 'b', 'c']);
    const told: Position = {
      chosen: { token: 'b', logprob: Math.log(0.01) },
      top: [
        { token: 'x', logprob: Math.log(0.6) },
        { token: 'y', logprob: Math.log(0.2) },
      ],
    };
    const estimate = estimateOf([told], set.trained.compiled);
    if (!estimate) throw new TypeError('it tells of b');
    const { answer, confidence } = verdictOf(estimate, set.trained, set);
    expect(set.answers[answer]).toBe('b');
    expect(confidence).toBeCloseTo(0.01 / (0.01 + 0.19));
  });
});

describe('a label set', () => {
  const groups = [
    { name: 'cards', labels: ['card_arrival', 'card_linking'] },
    { name: 'top_up', labels: ['top_up'] },
  ];
  const set = setOf(['card_arrival', 'card_linking', 'top_up'], {
    groups,
    tokens: [{ label: 'card_arrival', token: ' arrival' }],
  });

  it('is said by tokens by models for classification, by the names of the answers by all others', () => {
    expect(set.answers).toEqual(['cards', 'top_up']);
    expect(set.trained.first).toMatchObject({ tokens: [' arrival'], names: ['card_linking', 'top_up'], whole: false });
    expect(set.named.first).toMatchObject({ tokens: [], names: ['cards', 'top_up'], whole: false });
    expect(set.named.aliases.get('card_linking')).toBe(0);
    const model = { name: 'a', kind: 'Model', namespace: 'n', model: 'm', engine: 'VLLM', servedModel: 's' } as const;
    expect(spokenBy(set, { ...model, task: 'Classification' })).toBe(set.trained);
    expect(spokenBy(set, { ...model, task: 'Generation' })).toBe(set.named);
  });

  it('is asked about to its end where names share their first word', () => {
    expect(setOf(['card', 'cards', 'cash', 'top up']).trained.first.whole).toBe(false);
    expect(setOf(['card', 'card payment']).trained.first.whole).toBe(true);
    expect(questionAmong(set.trained, [1, 2])).toMatchObject({ names: ['card_linking', 'top_up'], whole: true });
  });
});
