import { describe, expect, it } from 'vitest';
import { addUsage } from './usage.ts';

const usage = (prompt: number, completion: number, cached = 0, reasoning = 0) => ({
  prompt,
  completion,
  cached,
  cacheWrite: 0,
  reasoning,
});

describe('the usage of a stream', () => {
  it('that is told as it runs is the last one', () => {
    expect(addUsage(usage(5, 1), usage(5, 2), 'Running')).toEqual(usage(5, 2));
    expect(addUsage(usage(5, 2), undefined, 'Running')).toEqual(usage(5, 2));
  });

  it('that is told for each choice is their sum, the prompt counted once unless each has its own', () => {
    expect(addUsage(usage(31, 3, 0, 1), usage(31, 4, 30, 2), 'PerChoice')).toEqual(usage(31, 7, 30, 3));
    expect(addUsage(usage(2, 3, 1), usage(4, 3, 1), 'PerPrompt')).toEqual(usage(6, 6, 2));
    expect(addUsage(undefined, usage(2, 3), 'PerPrompt')).toEqual(usage(2, 3));
  });
});
