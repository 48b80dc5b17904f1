import type { Engine, WarmUpRequest } from './engine.ts';
import { metricSum } from './metric.ts';

/** llama-server 0.7.0; `/metrics` needs its flag `--metrics`. */
export const llamaCpp: Engine = {
  healthPath: '/health',
  inFlight(metrics) {
    const processing = metricSum(metrics, 'llamacpp:requests_processing');
    const deferred = metricSum(metrics, 'llamacpp:requests_deferred');
    return processing === undefined || deferred === undefined ? undefined : processing + deferred;
  },
  identity: (metrics) => ({ work: metricSum(metrics, 'llamacpp:n_decode_total') }),
  warmUps(model, task) {
    if (task === 'Embedding') return [[{ path: '/v1/embeddings', body: { model, input: 'Hello' } }]];
    // Plain completions: chat needs a template, which base models lack.
    const completion = (body: object): WarmUpRequest => ({
      path: '/v1/completions',
      body: { model, prompt: 'Hello', max_tokens: 2, temperature: 0, ...body },
    });
    return [task === 'Generation' ? [completion({})] : [completion({}), completion({ grammar: 'root ::= "a" | "b"' })]];
  },
};
