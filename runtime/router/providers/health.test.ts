import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Health } from './health.ts';

const start = 1_000_000;

/** An endpoint that has served for a while. */
const aHealth = () => new Health(start - 60_000);

/** One that is ejected since `start`, for a second. */
function ejected(): Health {
  const health = aHealth();
  health.failed(start, true);
  return health;
}

describe('the health of an endpoint', () => {
  it('ejects one that nothing listens at with the first failure, and others with the third in a row', () => {
    expect(ejected().state(start)).toBe('Out');
    const health = aHealth();
    health.failed(start, false);
    health.failed(start, false);
    health.answered(start);
    health.failed(start, false);
    health.failed(start, false);
    expect(health.state(start)).toBe('In');
    health.failed(start, false);
    expect(health.state(start)).toBe('Out');
  });

  it('ejects one that fails more often than it answers, though never three times in a row', () => {
    const health = aHealth();
    const outcomes = [false, false, true, false, false, true, false, false, true];
    for (const good of outcomes) {
      if (good) health.answered(start);
      else health.failed(start, false);
    }
    expect(health.state(start)).toBe('In');
    health.failed(start, false);
    expect(health.state(start)).toBe('Out');
  });

  it('forgets a window that is over', () => {
    const health = aHealth();
    for (let at = 0; at < 100; at++) {
      health.failed(start + at * 20_000, false);
      health.failed(start + at * 20_000, false);
      health.answered(start + at * 20_000);
    }
    expect(health.state(start + 2_000_000)).toBe('In');
  });

  it('lets one request through when its time is over, and the next only when as much time has passed', () => {
    const health = ejected();
    expect(health.state(start + 999)).toBe('Out');
    expect(health.state(start + 1_000)).toBe('Due');
    health.probe(start + 1_000);
    expect(health.state(start + 1_999)).toBe('Out');
    expect(health.state(start + 2_000)).toBe('Due');
  });

  it('doubles the time with each failed probe, to half a minute at most', () => {
    const health = ejected();
    let now = start;
    for (const seconds of [1, 2, 4, 8, 16, 30, 30]) {
      expect(health.state(now + 1_000 * seconds - 1)).toBe('Out');
      now += 1_000 * seconds;
      expect(health.state(now)).toBe('Due');
      health.probe(now);
      health.failed(now, true);
    }
  });

  it('comes back with an answered probe, a tenth of its share at first and all of it after 10 s', () => {
    const health = ejected();
    health.began(start + 500); // of a request that was sent before
    expect(health.state(start + 500)).toBe('Out');
    health.probe(start + 1_000);
    health.began(start + 1_100);
    expect(health.state(start + 1_100)).toBe('In');
    expect(health.share(start + 1_100)).toBeCloseTo(0.1);
    expect(health.share(start + 6_100)).toBeCloseTo(0.5);
    expect(health.share(start + 11_100)).toBe(1);
  });

  it('takes longer over one that fails again soon after it came back', () => {
    const health = ejected();
    health.probe(start + 1_000);
    health.began(start + 1_000);
    health.failed(start + 2_000, true);
    expect(health.state(start + 3_999)).toBe('Out');
    expect(health.state(start + 4_000)).toBe('Due');
  });

  it('is never out for more than half a minute after the last thing that happened', () => {
    const event = fc.record({ ms: fc.nat(60_000), what: fc.constantFrom('failed', 'gone', 'began', 'answered') });
    fc.assert(
      fc.property(fc.array(event, { maxLength: 100 }), (events) => {
        const health = aHealth();
        let now = start;
        for (const { ms, what } of events) {
          now += ms;
          if (health.state(now) === 'Due') health.probe(now);
          if (what === 'began') health.began(now);
          else if (what === 'answered') health.answered(now);
          else health.failed(now, what === 'gone');
          expect(health.share(now)).toBeGreaterThan(0);
          expect(health.share(now)).toBeLessThanOrEqual(1);
          expect(health.state(now + 30_000)).not.toBe('Out');
        }
      }),
    );
  });
});
