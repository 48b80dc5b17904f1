import { describe, expect, it } from 'vitest';
import type { Failure, FailureReason } from '../providers/failure.ts';
import { buildTable, type LiveBackend } from '../routes/table.ts';
import { aModel, aRoute } from '../testing/router.ts';
import { costOfAttempt, costOfAttempts, outcomeOf } from './cost.ts';
import type { Attempt } from './exchange.ts';

const priced = aModel('small', { price: { input: 1000, output: 5000 } });
const backend = buildTable([{ route: aRoute([priced]), created: 0 }]).routes[0]?.backends[0] as LiveBackend;
const usage = { prompt: 10, completion: 2, cached: 0, cacheWrite: 0, reasoning: 0 };
const failed = (reason: FailureReason): Attempt => ({ backend, upstream: undefined, failure: { reason } as Failure });

describe('an attempt that came to nothing', () => {
  it.each(['QueueFull', 'QueueTimeout', 'NoEndpoint', 'ConnectFailed', 'RateLimited', 'BadRequest'] as const)(
    'costs nothing where no work was done: %s',
    (reason) => expect(costOfAttempt(failed(reason))).toBe(0),
  );

  it.each(['Timeout', 'Reset', 'ServerError', 'Interrupted', 'LowConfidence', 'Outrun', 'ClientGone'] as const)(
    'has unknown cost where some may have been done: %s',
    (reason) => {
      expect(costOfAttempt(failed(reason))).toBeUndefined();
      expect(costOfAttempts([failed('NoEndpoint'), failed(reason)])).toBeUndefined();
    },
  );

  it('costs what its backend counted', () => {
    expect(costOfAttempt({ ...failed('Timeout'), usage })).toBe(10 * 100 + 2 * 500);
  });

  it('counts as escalated where its answer was called off before its end, as it would not have been trusted', () => {
    expect(outcomeOf(failed('LowConfidence'), { answer: undefined })).toBe('Escalated');
    expect(outcomeOf(failed('InvalidOutput'), { answer: undefined })).toBe('Invalid');
    expect(outcomeOf(failed('Timeout'), { answer: undefined })).toBe('Failed');
  });
});
