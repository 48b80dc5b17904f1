import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { costOf, inDollars, perToken } from './price.ts';

describe('the cost of tokens', () => {
  const price = { input: perToken('2.00'), output: perToken('10'), cachedInput: perToken('0.10') };

  it('is that of a price list: 1,000 tokens in and 100 out at $2 and $10 a million are $0.003', () => {
    expect(costOf({ prompt: 1000, completion: 100, cached: 0, cacheWrite: 0 }, price)).toBe(3_000_000);
  });

  it('takes cached tokens out of the prompt, at their own price or at that of the others', () => {
    expect(costOf({ prompt: 1000, completion: 0, cached: 400, cacheWrite: 0 }, price)).toBe(600 * 2000 + 400 * 100);
    const { input, output } = price;
    expect(costOf({ prompt: 1000, completion: 0, cached: 400, cacheWrite: 0 }, { input, output })).toBe(2_000_000);
  });

  it('takes tokens that were written to a cache at their own price, or at that of the others', () => {
    const tokens = { prompt: 1000, completion: 0, cached: 400, cacheWrite: 100 };
    expect(costOf(tokens, { ...price, cacheWrite: perToken('2.50') })).toBe(500 * 2000 + 400 * 100 + 100 * 2500);
    expect(costOf(tokens, price)).toBe(600 * 2000 + 400 * 100);
  });

  it('is rounded once, half up', () => {
    const least = { input: perToken('0.0001'), output: perToken('0.0001') };
    expect(costOf({ prompt: 4, completion: 0, cached: 0, cacheWrite: 0 }, least)).toBe(0);
    expect(costOf({ prompt: 4, completion: 1, cached: 0, cacheWrite: 0 }, least)).toBe(1);
  });

  it('never is negative, though an upstream says that more was cached than asked', () => {
    expect(costOf({ prompt: 10, completion: 0, cached: 99, cacheWrite: 99 }, price)).toBe(10 * 100);
  });
});

it('takes every price of four decimals as it is written', () => {
  fc.assert(
    fc.property(fc.nat(99_999_999), (tenThousandths) => {
      const text = `${Math.floor(tenThousandths / 10_000)}.${String(tenThousandths % 10_000).padStart(4, '0')}`;
      expect(perToken(text)).toBe(tenThousandths);
    }),
  );
});

it('writes nano-dollars as dollars with every digit', () => {
  expect(inDollars(0)).toBe('0.00');
  expect(inDollars(123_456)).toBe('0.000123456');
  expect(inDollars(3_000_000)).toBe('0.003');
  expect(inDollars(12_500_000_000)).toBe('12.50');
  fc.assert(
    fc.property(fc.nat({ max: 2 ** 31 - 1 }), fc.nat({ max: 2 ** 20 }), (low, high) => {
      const nanos = high * 2 ** 31 + low;
      const [whole = '', fraction = ''] = inDollars(nanos).split('.');
      expect(BigInt(whole) * 1_000_000_000n + BigInt(fraction.padEnd(9, '0'))).toBe(BigInt(nanos));
    }),
  );
});
