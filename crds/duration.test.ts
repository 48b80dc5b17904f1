import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseDuration } from './duration.ts';

describe('parseDuration', () => {
  it.each([
    ['300ms', 300],
    ['10s', 10_000],
    ['5m', 300_000],
    ['1h30m', 5_400_000],
    ['1h1m1s1ms', 3_661_001],
    ['0s', 0],
    ['999999h999999h', 2 * 999_999 * 3_600_000],
  ])('reads %s as %d milliseconds', (text, ms) => {
    expect(parseDuration(text)).toBe(ms);
  });

  it.each(['', '10', 's', '1.5s', '-1s', '+1s', '10 s', '10S', '1d', '5m\n', '1000000s', '1h1m1s1ms1h1m1s1ms', '١s'])(
    'refuses %j and says how durations are written',
    (text) => {
      expect(() => parseDuration(text)).toThrow(/is not a duration; write whole numbers with units, such as 300ms/);
    },
  );

  it('adds up its parts in any order', () => {
    const part = fc.tuple(fc.nat(999), fc.constantFrom('ms', 's', 'm'));
    fc.assert(
      fc.property(part, part, ([a, x], [b, y]) => {
        expect(parseDuration(`${a}${x}${b}${y}`)).toBe(parseDuration(`${a}${x}`) + parseDuration(`${b}${y}`));
      }),
    );
  });
});
