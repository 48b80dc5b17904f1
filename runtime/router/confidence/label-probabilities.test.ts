import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { argmax } from '../../../quality/prediction.ts';
import {
  type Candidate,
  type CompiledLabels,
  compileLabels,
  type SpokenLabel,
  scorePosition,
  spreadShared,
} from './label-probabilities.ts';

const named = (...names: string[]) => compileLabels(names.map((name) => ({ name })));
const seen = (tokens: Record<string, number>): Candidate[] =>
  Object.entries(tokens).map(([token, p]) => ({ token, logprob: Math.log(p) }));
/** With what tokens leave open divided evenly. */
function labelProbabilities(candidates: Iterable<Candidate>, labels: CompiledLabels, chosen?: Candidate) {
  const { probabilities, shared, mass } = scorePosition(candidates, labels, { chosen });
  spreadShared(probabilities, shared);
  return { probabilities, mass };
}
const rounded = (values: Float64Array) => [...values].map((value) => Math.round(value * 1e4) / 1e4);

describe('the probability of a label', () => {
  it('is that of its token among all labels’ tokens', () => {
    const labels = compileLabels([
      { name: 'card_arrival', token: ' arrival' },
      { name: 'card_linking', token: ' link' },
    ]);
    const scored = labelProbabilities(seen({ ' arrival': 0.6, ' link': 0.2, ' the': 0.1, arrival: 0.05 }), labels);
    expect(rounded(scored.probabilities)).toEqual([0.75, 0.25]);
    expect(scored.mass).toBeCloseTo(0.8);
  });

  it('is the sum of the tokens that its name begins with, a space before it left out', () => {
    const scored = labelProbabilities(
      seen({ ' ref': 0.3, refund: 0.2, bill: 0.2, 'refund.': 0.1, ' ': 0.1 }),
      named('billing', 'refund'),
    );
    expect(rounded(scored.probabilities)).toEqual([0.2857, 0.7143]);
    expect(scored.mass).toBeCloseTo(0.7);
  });

  it('does not count beginnings of a name that is a token itself: they begin other words', () => {
    const candidates = seen({ d: 0.5, deposit: 0.05, ' d': 0.05, card: 0.2, c: 0.1 });
    const scored = labelProbabilities(candidates, named('deposit', 'card', 'cash'));
    expect(rounded(scored.probabilities)).toEqual([0.25, 0.5, 0.25]);
    expect(scored.mass).toBeCloseTo(0.4);
  });

  it('prefers the whole token of one label to the beginning of another', () => {
    const labels = compileLabels([{ name: 'cards', token: ' card' }, { name: 'card_arrival' }]);
    expect(rounded(labelProbabilities(seen({ ' card': 0.6, card: 0.3, ' the': 0.1 }), labels).probabilities)).toEqual([
      0.6667, 0.3333,
    ]);
  });

  it('of several that begin alike stays with all of them until more was said', () => {
    const labels = named('top_up', 'card_linking', 'card', 'card_arrival');
    const candidates = seen({ card: 0.5, ' card': 0.2, top: 0.2, ' ca': 0.1 });
    const all = scorePosition(candidates, labels, { chosen: candidates[1] });
    expect(all.shared).toEqual([
      { labels: [2, 3, 1], mass: expect.closeTo(0.7) as number },
      { labels: [3, 1], mass: expect.closeTo(0.1) as number }, // `card` is a token, so ` ca` is no part of it
    ]);
    expect(all.chosen).toBe(all.shared[0]);
    expect(rounded(all.probabilities)).toEqual([0.2, 0, 0, 0]);
    expect(rounded(labelProbabilities(candidates, labels).probabilities)).toEqual([0.2, 0.2833, 0.2333, 0.2833]);
    const next = scorePosition(seen({ _: 0.5, '': 0.25, _l: 0.1, s: 0.15 }), labels, {
      within: [2, 3, 1],
      said: 'card',
    });
    expect(rounded(next.probabilities)).toEqual([0, 0.1176, 0.2941, 0]);
    expect(next.shared).toEqual([{ labels: [3, 1], mass: expect.closeTo(0.5 / 0.85) as number }]);
    expect([...next.seen]).toEqual([0, 1, 1, 1]);
    const within = scorePosition(seen({ _a: 0.5, '': 0.25, _l: 0.25 }), labels, { within: [1, 3], said: 'card' });
    expect(rounded(within.probabilities)).toEqual([0, 0.3333, 0, 0.6667]);
  });

  it('of one that was not seen is the most that it can be', () => {
    const labels = named('a', 'b', 'c');
    const few = labelProbabilities(seen({ a: 0.02, x: 0.9, y: 0.01 }), labels);
    expect(rounded(few.probabilities)).toEqual([0.5, 0.25, 0.25]);
    expect(few.mass).toBeCloseTo(0.02);
    // Of 1 the candidates leave 0.002, which two labels share.
    expect(rounded(labelProbabilities(seen({ a: 0.998 }), labels).probabilities)).toEqual([0.998, 0.001, 0.001]);
    expect(
      rounded(
        labelProbabilities(
          [
            { token: 'a', logprob: 0 },
            { token: 'x', logprob: -9999 },
          ],
          labels,
        ).probabilities,
      ),
    ).toEqual([1, 0, 0]);
  });

  it('counts the token that was said where it is not among the likeliest', () => {
    const labels = named('a', 'b');
    const candidates = seen({ x: 0.6, y: 0.3 });
    expect(labelProbabilities(candidates, labels).mass).toBe(0);
    const scored = labelProbabilities(candidates, labels, { token: 'b', logprob: Math.log(0.01) });
    expect(scored.mass).toBeCloseTo(0.01);
    expect(argmax(scored.probabilities)).toBe(0); // of `a` it is only known that it has at most 0.09
  });

  it('is nothing where no token stands for a label', () => {
    const scored = labelProbabilities(seen({ x: 0.6, ' ': 0.3 }), named('a', 'b'));
    expect(scored).toEqual({ probabilities: new Float64Array(2), mass: 0 });
  });
});

const word = fc.string({ unit: fc.constantFrom('a', 'b', 'c', ' ', '_'), minLength: 1, maxLength: 4 });
const labelsOf = fc
  .uniqueArray(fc.record({ name: word, token: fc.option(word, { nil: undefined }) }), {
    minLength: 2,
    maxLength: 12,
    selector: ({ name }) => name,
  })
  .map((labels): SpokenLabel[] => {
    const tokens = new Set<string>();
    return labels.map(({ name, token }) => {
      if (token === undefined || tokens.has(token)) return { name };
      tokens.add(token);
      return { name, token };
    });
  });
const candidatesOf = fc
  .uniqueArray(fc.record({ token: word, weight: fc.double({ min: 1e-6, max: 1, noNaN: true }) }), {
    minLength: 1,
    maxLength: 30,
    selector: ({ token }) => token,
  })
  .map((all) => {
    const sum = all.reduce((total, { weight }) => total + weight, 0) * 1.1;
    return all.map(({ token, weight }): Candidate => ({ token, logprob: Math.log(weight / sum) }));
  });
const sumOf = (values: Iterable<number>) => [...values].reduce((total, value) => total + value, 0);

describe('probabilities', () => {
  it('sum to 1, or there are none; each is at least 0', () => {
    fc.assert(
      fc.property(labelsOf, candidatesOf, (labels, candidates) => {
        const { probabilities, mass } = labelProbabilities(candidates, compileLabels(labels));
        expect(sumOf(probabilities)).toBeCloseTo(mass === 0 ? 0 : 1, 9);
        for (const p of probabilities) expect(p).toBeGreaterThanOrEqual(0);
        expect(mass).toBeLessThanOrEqual(1);
      }),
    );
  });

  it('are those that a plain reading of the definition gives', () => {
    fc.assert(
      fc.property(labelsOf, candidatesOf, (labels, candidates) => {
        const expected = labels.map(() => 0);
        const isSeen = labels.map(() => false);
        const isSpaced = (token: string): boolean => token.startsWith(' ');
        const begins = (token: string, { name }: SpokenLabel): boolean =>
          token !== ' ' && name.startsWith(token.replace(/^ /, ''));
        for (const { token, logprob } of candidates) {
          const own = labels.findIndex((label) => label.token === token);
          const rivals = candidates
            .map((one) => one.token)
            .filter((one) => isSpaced(one) === isSpaced(token) && one !== token)
            .filter((one) => labels.every((label) => label.token !== one));
          const begun = labels.flatMap((label, i) =>
            label.token === undefined &&
            begins(token, label) &&
            !rivals.some((one) => one.replace(/^ /, '') === label.name)
              ? [i]
              : [],
          );
          const meant = own >= 0 ? [own] : begun;
          for (const i of meant) {
            expected[i] = (expected[i] ?? 0) + Math.exp(logprob) / meant.length;
            isSeen[i] = true;
          }
        }
        const least = Math.min(...candidates.map(({ logprob }) => Math.exp(logprob)));
        const left = 1 - sumOf(candidates.map(({ logprob }) => Math.exp(logprob)));
        const unseen = isSeen.filter((one) => !one).length;
        if (unseen < labels.length)
          for (const [i, one] of isSeen.entries()) if (!one) expected[i] = Math.min(least, left / unseen);
        const sum = sumOf(expected);
        const { probabilities } = labelProbabilities(candidates, compileLabels(labels));
        for (const [i, p] of probabilities.entries())
          expect(p).toBeCloseTo(sum === 0 ? 0 : (expected[i] ?? 0) / sum, 9);
      }),
    );
  });
});
