import { PassThrough } from 'node:stream';
import { text } from 'node:stream/consumers';
import { describe, expect, it } from 'vitest';
import { count, showLater } from './test.ts';

const file = (status: string, tests: number) => ({
  name: 'a.test.ts',
  status,
  assertionResults: Array.from({ length: tests }, () => ({})),
});

describe('the count of tests', () => {
  it('is what vitest reports', () => {
    const report = { numPassedTests: 7, numFailedTests: 2, testResults: [file('passed', 5), file('failed', 4)] };
    expect(count(report, 1)).toEqual({ passed: 7, failed: 2 });
  });

  it('holds a file that cannot be loaded for a failure', () => {
    const report = { numPassedTests: 5, numFailedTests: 0, testResults: [file('passed', 5), file('failed', 0)] };
    expect(count(report, 1)).toEqual({ passed: 5, failed: 1 });
  });

  it('is never without a failure when vitest failed', () => {
    expect(count(undefined, 1)).toEqual({ passed: 0, failed: 1 });
    const unhandled = { numPassedTests: 5, numFailedTests: 0, testResults: [file('passed', 5)] };
    expect(count(unhandled, 1)).toEqual({ passed: 5, failed: 1 });
    expect(count(unhandled, 0)).toEqual({ passed: 5, failed: 0 });
  });
});

describe('what is said beside others', () => {
  it('is shown after them, in its order, and as it comes from then on', async () => {
    const [from, to] = [new PassThrough(), new PassThrough()];
    const others = Promise.withResolvers<void>();
    const shown = showLater(from, to, others.promise);
    from.write('first, ');
    from.write('second, ');
    await new Promise((resolve) => setImmediate(resolve));
    expect(to.readableLength).toBe(0);
    others.resolve();
    await shown;
    from.end('third');
    from.once('end', () => to.end());
    expect(await text(to)).toBe('first, second, third');
  });
});
