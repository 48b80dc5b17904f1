import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { isAnswer, parseObject } from '../answers/document.ts';
import { type Token, tokenAnswer, tokenEvents } from '../testing/scored.ts';
import { scoreOf } from './score.ts';
import { watchDocument } from './watch-document.ts';

const probability = fc.double({ min: 0.01, max: 1, noNaN: true });
const documents = fc.record({
  values: fc.dictionary(fc.constantFrom('a', 'b', 'c'), fc.oneof(fc.integer(), fc.string(), fc.boolean()), {
    minKeys: 1,
  }),
  /** Where the text is cut into tokens, and how likely each is. */
  sizes: fc.array(fc.integer({ min: 1, max: 6 }), { minLength: 60, maxLength: 60 }),
  likely: fc.array(probability, { minLength: 60, maxLength: 60 }),
});

function tokensOf(text: string, sizes: readonly number[], likely: readonly number[]): Token[] {
  const characters = Array.from(text);
  const tokens: Token[] = [];
  for (let at = 0, n = 0; at < characters.length; n++) {
    const size = sizes[n] ?? characters.length;
    tokens.push([characters.slice(at, at + size).join(''), likely[n] ?? 1]);
    at += size;
  }
  return tokens;
}

it('a document is called off exactly when it would not be trusted in the end', () => {
  fc.assert(
    fc.property(
      documents,
      probability,
      fc.subarray(['a', 'b', 'c']),
      ({ values, sizes, likely }, threshold, wanted) => {
        const required = wanted.filter((name) => name in values);
        const schema = { problemOf: () => undefined, required };
        const tokens = tokensOf(JSON.stringify(values), sizes, likely);
        const judgement = { threshold, doubts: () => true, mayLeave: () => true };
        const onPiece = watchDocument('small', judgement, schema);
        const isCalledOff = tokenEvents(tokens).some((event) => {
          const piece = parseObject(event.slice('data: '.length));
          return piece !== undefined && isAnswer(piece) && onPiece?.(piece) !== undefined;
        });
        const { confidence } = scoreOf(tokenAnswer(tokens), { body: {}, schema, scored: true });
        expect(confidence).toBeTypeOf('number');
        expect(isCalledOff).toBe((confidence as number) < threshold);
      },
    ),
  );
});
