import { describe, expect, it } from 'vitest';
import { comparison, costOf, figuresOf } from './figures.ts';

/** As many predictions of two labels, `right` of them with the true one likeliest. */
function predictions(n: number, right: number, confidence: number): { truth: number; probabilities: number[] }[] {
  return Array.from({ length: n }, (_, index) => ({
    truth: index < right ? 0 : 1,
    probabilities: [confidence, 1 - confidence],
  }));
}

const overconfident = {
  key: 'specialist',
  name: 'Specialist',
  question: 'queues',
  validation: predictions(100, 80, 0.97),
  test: predictions(50, 40, 0.97),
} as const;

describe('the figures of a contender', () => {
  it('are of the test messages, at the temperature of the validation messages', () => {
    const figures = figuresOf(overconfident);
    expect(figures.accuracy).toMatchObject({ successes: 40, n: 50 });
    expect(figures.calibrationError.raw).toBeCloseTo(0.17, 10);
    expect(figures.calibrationError.tempered).toBeCloseTo(0, 3);
    expect(figures.temperature).toBeCloseTo(Math.log(0.97 / 0.03) / Math.log(4), 3);
    expect(figures.negativeLogLikelihood.tempered).toBeLessThan(figures.negativeLogLikelihood.raw);
    expect(figures.reliability.raw).toMatchObject([{ count: 50, accuracy: 0.8 }]);
    expect(figures.riskByPercent.length).toBe(100);
    expect(figures.riskByPercent.at(-1)).toBe(0.2);
  });

  it('say where escalation is best and from where on it makes answers worse', () => {
    const test = [...predictions(80, 80, 0.9), ...predictions(20, 10, 0.6)];
    const [weak] = figuresOf({ ...overconfident, test }).hybrid;
    expect(weak).toMatchObject({ assumedAccuracy: 0.88, best: { escalated: 0.2 } });
    expect(weak?.best.accuracy).toBeCloseTo((80 + 20 * 0.88) / 100, 10);
    expect(weak?.accuracyByPercent.length).toBe(101);
    expect(weak?.accuracyByPercent[0]).toBe(0.9);
    // 90 right alone; giving away k more of the sure ones costs 0.12 each of 7.6 that were won.
    expect(weak?.worseFrom).toBeCloseTo(0.84, 10);
  });

  it('of groups are those of summed probabilities', () => {
    const test = [{ truth: 1, probabilities: [0.4, 0.35, 0.25] }];
    const contender = { ...overconfident, validation: test, test };
    expect(figuresOf(contender).accuracy.value).toBe(0);
    expect(figuresOf({ ...contender, groupOf: [0, 1, 1] }).accuracy.value).toBe(1);
  });
});

describe('a comparison', () => {
  it('is of the messages that both were asked', () => {
    const other = { ...overconfident, key: 'general', test: predictions(20, 5, 0.9) };
    expect(comparison(overconfident, other)).toMatchObject({
      first: 'specialist',
      second: 'general',
      n: 20,
      onlyFirst: 15,
      onlySecond: 0,
      bothRight: 5,
    });
  });
});

describe('costs', () => {
  it('are medians of time and means of tokens', () => {
    const said = [50, 60, 1000].map((milliseconds) => ({
      milliseconds,
      promptTokens: 20,
      cachedTokens: 3,
      completionTokens: 1,
    }));
    expect(costOf(said)).toEqual({
      medianMilliseconds: 60,
      p95Milliseconds: 1000,
      tokens: { prompt: 20, cached: 3, completion: 1 },
    });
  });
});
