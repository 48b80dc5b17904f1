import { describe, expect, it } from 'vitest';
import { nextConditions } from './conditions.ts';

const verdict = (message: string) => ({ type: 'Ready', status: 'False', reason: 'InvalidArgs', message }) as const;

describe('conditions', () => {
  it('have their messages cut to what the API server takes and people read', () => {
    const long = `spec.engine.args: ${'x'.repeat(200_000)}`;
    const message = nextConditions(undefined, [verdict(long)], 1, 0)[0]?.message ?? '';
    expect(message.length).toBeLessThanOrEqual(4096);
    expect(message).toMatch(/^spec\.engine\.args: x+…$/);
    expect(nextConditions(undefined, [verdict('short')], 1, 0)[0]?.message).toBe('short');
  });

  it('keep the time of their last transition while only the message changes', () => {
    const before = nextConditions(undefined, [verdict('a')], 1, 0);
    expect(nextConditions(before, [verdict('b')], 2, 60_000)).toEqual([
      { ...before[0], message: 'b', observedGeneration: 2 },
    ]);
  });
});
