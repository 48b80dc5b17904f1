import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { JsonFieldReader, jsonFieldConfidences, type SpokenToken } from './json-fields.ts';

const spoken = (tokens: [string, number | undefined][]): SpokenToken[] =>
  tokens.map(([token, p]) => ({ token, logprob: p === undefined ? undefined : Math.log(p) }));

const confidences = (...tokens: [string, number | undefined][]): Record<string, number | undefined> =>
  Object.fromEntries(
    [...jsonFieldConfidences(spoken(tokens)).fields].map(([name, p]) => [
      name,
      p === undefined ? undefined : Math.round(p * 1e6) / 1e6,
    ]),
  );

describe('the confidence in a field of a JSON object', () => {
  it('is the least probability among the tokens that say its value', () => {
    expect(
      confidences(
        ['{"', 0.1],
        ['order', 0.1],
        ['":"', 0.97],
        ['AB', 0.9],
        ['-', 0.95],
        ['48', 0.6],
        ['21', 0.8],
        ['","', 0.1],
        ['amount', 0.1],
        ['":', 0.99],
        ['null', 0.7],
        ['}', 0.1],
      ),
    ).toEqual({ order: 0.6, amount: 0.7 });
  });

  it('has the choice between a value and none, which falls with the token that begins it', () => {
    expect(confidences(['{"order', 1], ['":"', 0.55], ['AB', 1], ['"}', 1])).toEqual({ order: 0.55 });
    expect(confidences(['{"order', 1], ['":', 0.45], ['null', 1], ['}', 1])).toEqual({ order: 0.45 });
    expect(confidences(['{"order"', 1], [':', 0.1], [' ', 0.1], ['"', 0.5], ['AB', 1], ['"}', 1])).toEqual({
      order: 0.5,
    });
  });
});
