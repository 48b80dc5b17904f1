import { Registry } from 'prom-client';
import { describe, expect, it } from 'vitest';
import { Distribution, durationBuckets, registerHistogram } from './distribution.ts';

describe('a histogram', () => {
  it('tells how many values were at most each bound, their sum and count', async () => {
    const registry = new Registry();
    const distribution = new Distribution(durationBuckets);
    for (const seconds of [0.001, 0.005, 0.006, 500]) distribution.observe(seconds);
    registerHistogram({
      name: 'took_seconds',
      help: 'How long it took.',
      registry,
      collect: () => [{ labels: { of: 'a' }, distribution }],
    });
    const lines = (await registry.metrics()).split('\n');
    expect(lines).toContain('# TYPE took_seconds histogram');
    expect(lines).toContain('took_seconds_bucket{of="a",le="0.005"} 2');
    expect(lines).toContain('took_seconds_bucket{of="a",le="0.01"} 3');
    expect(lines).toContain('took_seconds_bucket{of="a",le="120"} 3');
    expect(lines).toContain('took_seconds_bucket{of="a",le="+Inf"} 4');
    expect(lines).toContain('took_seconds_sum{of="a"} 500.012');
    expect(lines).toContain('took_seconds_count{of="a"} 4');
  });
});
