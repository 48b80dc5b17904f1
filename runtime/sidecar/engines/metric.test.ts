import { describe, expect, it } from 'vitest';
import { metricSum } from './metric.ts';

describe('a metric in the text format', () => {
  it('is summed over its label sets, and not mixed up with others that begin alike', () => {
    const text = [
      '# HELP vllm:num_requests_waiting Number',
      '# TYPE vllm:num_requests_waiting gauge',
      'vllm:num_requests_waiting{engine="0",model_name="a} b"} 2.0',
      'vllm:num_requests_waiting{engine="1"} 3 1795564621000',
      'vllm:num_requests_waiting_by_reason{reason="capacity"} 7',
      'other_vllm:num_requests_waiting 9',
      'llamacpp:requests_processing 1',
    ].join('\n');
    expect(metricSum(text, 'vllm:num_requests_waiting')).toBe(5);
    expect(metricSum(text, 'llamacpp:requests_processing')).toBe(1);
  });

  it('that is not there is unknown, not zero', () => {
    expect(metricSum('# TYPE a gauge\n', 'a')).toBeUndefined();
  });
});
