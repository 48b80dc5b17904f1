import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compareQuantities, parseQuantity, quantityToNano } from './quantity.ts';

describe('parseQuantity', () => {
  it.each<[string | number, number]>([
    ['500m', 0.5],
    ['2', 2],
    [2, 2],
    ['0.25', 0.25],
    ['.5', 0.5],
    ['1.', 1],
    ['1.5Gi', 1.5 * 1024 ** 3],
    ['64Mi', 64 * 1024 ** 2],
    ['1Ki', 1024],
    ['1k', 1000],
    ['1M', 1_000_000],
    ['1E', 1e18],
    ['1Ei', 1024 ** 6],
    ['1e3', 1000],
    ['1E3', 1000],
    ['15e-1', 1.5],
    ['1e+2', 100],
    ['100u', 0.0001],
    ['1n', 1e-9],
  ])('reads %s as %d', (text, value) => {
    expect(parseQuantity(text)).toBe(value);
  });

  it.each(['', '-1', '+1', '1 Gi', '1gi', '1GB', 'Gi', '1e', '1e100', '1e1.5', '0x10', '1_000', '1,5', 'NaN', '1Gi\n'])(
    'refuses %j and says how quantities are written',
    (text) => {
      expect(() => parseQuantity(text)).toThrow(
        /is not a quantity; write a number with a unit, such as 2, 500m or 16Gi/,
      );
    },
  );

  it('refuses numbers that are negative or not finite', () => {
    for (const value of [-1, Number.NaN, Number.POSITIVE_INFINITY])
      expect(() => parseQuantity(value)).toThrow(/is not a quantity/);
  });

  it('rounds what is smaller than a billionth up, as Kubernetes does', () => {
    expect(quantityToNano('0.0000000001')).toBe(1n);
    expect(quantityToNano('1e-99')).toBe(1n);
    expect(quantityToNano('0')).toBe(0n);
  });

  it('compares exactly beyond 2^53', () => {
    expect(compareQuantities('9007199254740993', '9007199254740992')).toBe(1);
    expect(compareQuantities('1024Mi', '1Gi')).toBe(0);
    expect(compareQuantities('1G', '1Gi')).toBe(-1);
    expect(compareQuantities('1000m', 1)).toBe(0);
  });

  it('is the number for every whole number', () => {
    fc.assert(
      fc.property(fc.nat(), (n) => {
        expect(parseQuantity(n)).toBe(n);
        expect(parseQuantity(`${n}m`)).toBeCloseTo(n / 1000, 9);
      }),
    );
  });
});
