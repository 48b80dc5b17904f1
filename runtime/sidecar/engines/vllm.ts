import type { Engine, WarmUpRequest } from './engine.ts';
import { metricSum } from './metric.ts';

/** vLLM 0.32.0. */
export const vllm: Engine = {
  healthPath: '/health',
  inFlight(metrics) {
    const running = metricSum(metrics, 'vllm:num_requests_running');
    const waiting = metricSum(metrics, 'vllm:num_requests_waiting');
    return running === undefined || waiting === undefined ? undefined : running + waiting;
  },
  identity: (metrics) => ({
    startTime: metricSum(metrics, 'process_start_time_seconds'),
    work: metricSum(metrics, 'vllm:prompt_tokens_total'),
  }),
  warmUps(model, task) {
    if (task === 'Embedding') return [[{ path: '/v1/embeddings', body: { model, input: 'Hello' } }]];
    // The first request with logprobs compiles: 19.7 s were measured. The first structured output loads its grammar engine.
    const completion = (body: object): WarmUpRequest => ({
      path: '/v1/completions',
      body: { model, prompt: 'Hello', max_tokens: 2, temperature: 0, logprobs: 5, ...body },
    });
    if (task === 'Generation') return [[completion({})]];
    const generative = [completion({}), completion({ structured_outputs: { choice: ['a', 'b'] } })];
    // A model with a classification head has no /v1/completions, a generative one no /classify.
    return task === 'Classification'
      ? [[{ path: '/classify', body: { model, input: 'Hello' } }], generative]
      : [generative];
  },
};
