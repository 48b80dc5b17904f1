import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MinuteWindow } from './minute-window.ts';

/** Takes what it may, as a limit does. */
function admit(window: MinuteWindow, amount: number, limit: number, now: number): boolean {
  if (window.waitFor(amount, limit, now) > 0) return false;
  window.add(amount, now);
  return true;
}

const limit = fc.integer({ min: 1, max: 40 });
/** Steps between requests: many at once, seconds, and rests longer than the window. */
const step = fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 5_000 }), fc.integer({ min: 0, max: 200_000 }));
const asks = fc.array(fc.record({ step, amount: fc.integer({ min: 1, max: 40 }) }), { maxLength: 200 });

describe('a minute', () => {
  it('never holds more than the limit, wherever it begins', () => {
    fc.assert(
      fc.property(limit, asks, fc.integer({ min: 0, max: 1e9 }), (most, all, start) => {
        const window = new MinuteWindow();
        const taken: { at: number; amount: number }[] = [];
        let now = start;
        for (const one of all) {
          now += one.step;
          const amount = Math.min(one.amount, most);
          if (admit(window, amount, most, now)) taken.push({ at: now, amount });
        }
        for (const first of taken) {
          const within = taken.filter(({ at }) => at >= first.at && at < first.at + 60_000);
          expect(within.reduce((sum, { amount }) => sum + amount, 0)).toBeLessThanOrEqual(most);
        }
      }),
    );
  });

  it('lets the limit through in each 61 seconds to one who never stops asking', () => {
    fc.assert(
      fc.property(limit, fc.integer({ min: 1, max: 5 }), fc.integer({ min: 0, max: 1e6 }), (most, minutes, start) => {
        const window = new MinuteWindow();
        let admitted = 0;
        for (let now = start; now < start + minutes * 61_000; now += 250)
          while (admit(window, 1, most, now)) admitted++;
        expect(admitted).toBeGreaterThanOrEqual(most * minutes);
      }),
    );
  });

  it('says how long to wait: not before it, but then, it may be taken', () => {
    fc.assert(
      fc.property(limit, asks, (most, all) => {
        const window = new MinuteWindow();
        let now = 0;
        for (const one of all) {
          now += one.step;
          const amount = Math.min(one.amount, most);
          const wait = window.waitFor(amount, most, now);
          expect(wait).toBeLessThanOrEqual(61_000);
          expect(wait === 0 || window.waitFor(amount, most, now + wait - 1) === 1).toBe(true);
          now += wait;
          expect(admit(window, amount, most, now)).toBe(true);
        }
        now += window.emptyIn(now);
        expect([window.used(now), window.emptyIn(now)]).toEqual([0, 0]);
      }),
    );
  });

  it('takes back what was not used, once, and not what is forgotten already', () => {
    const window = new MinuteWindow();
    window.add(100, 500);
    window.giveBack(70, 500, 3_000);
    expect(window.used(3_000)).toBe(30);
    window.giveBack(70, 500, 3_000);
    expect(window.used(3_000)).toBe(0);
    window.add(10, 61_000);
    window.giveBack(5, 500, 61_500);
    expect(window.used(61_500)).toBe(10);
  });

  it('keeps others out until more than the limit, which a request has cost in the end, has passed', () => {
    const window = new MinuteWindow();
    window.add(500, 10_000);
    expect(window.waitFor(1, 100, 20_000)).toBe(51_000);
    expect(window.waitFor(1, 100, 71_000)).toBe(0);
  });
});
