import { describe, expect, it } from 'vitest';
import { count } from './test.ts';

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
