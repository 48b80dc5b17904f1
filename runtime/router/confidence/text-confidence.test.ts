import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { textConfidence } from './text-confidence.ts';

const logprobs = fc.array(fc.double({ min: -50, max: 0, noNaN: true }), { minLength: 1, maxLength: 60 });

it('is the probability that a tenth of the tokens are less likely than', () => {
  const ten = [0.9, 0.8, 0.7, 0.6, 0.5, 0.95, 0.96, 0.97, 0.98, 0.99, 0.99].map(Math.log);
  expect(textConfidence(ten)).toBeCloseTo(0.6, 12);
  expect(textConfidence([Math.log(0.3)])).toBeCloseTo(0.3, 12);
});

it('is unknown without tokens', () => {
  expect(textConfidence([])).toBeUndefined();
});

it('is within [0, 1], between the least and the most likely token, in whatever order', () => {
  fc.assert(
    fc.property(logprobs, (all) => {
      const confidence = textConfidence(all) as number;
      expect(confidence).toBeGreaterThanOrEqual(Math.exp(Math.min(...all)));
      expect(confidence).toBeLessThanOrEqual(Math.exp(Math.max(...all)));
      expect(textConfidence(all.toReversed())).toBe(confidence);
    }),
  );
});

it('does not rise when a token becomes less likely', () => {
  fc.assert(
    fc.property(logprobs, fc.nat(), fc.double({ min: 0, max: 10, noNaN: true }), (all, at, less) => {
      const lowered = all.with(at % all.length, (all[at % all.length] as number) - less);
      expect(textConfidence(lowered) as number).toBeLessThanOrEqual(textConfidence(all) as number);
    }),
  );
});
