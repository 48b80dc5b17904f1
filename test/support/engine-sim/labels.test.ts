import { describe, expect, it } from 'vitest';
import type { ModelBackend } from '../../../crds/route-table.ts';
import { aModel, aRoute, startRouter } from '../../../runtime/router/testing/router.ts';
import { untilHealthy } from '../engine-process.ts';
import { startEngineSim } from './start.ts';

const labels = ['billing', 'refund', 'card_arrival', 'card_linking'];
const config = {
  architectures: ['Qwen2ForSequenceClassification'],
  id2label: Object.fromEntries(labels.map((name, at) => [at, name])),
};

/** Starts an engine behind a router, and asks it. */
async function answered(
  backend: Partial<ModelBackend>,
  content: string,
  output: object = { labels },
): Promise<{ label: string; confidence: number; completionTokens: number }> {
  const engine = backend.engine ?? 'VLLM';
  await using sim = await startEngineSim({ engine, model: 'served', ...(backend.classify && { config }) });
  await untilHealthy(sim);
  await using router = await startRouter({
    routes: [aRoute([aModel('small', backend)], { output })],
    endpoints: { small: [sim.url] },
  });
  const messages = [{ role: 'user', content }];
  const { json, headers } = await router.post('/v1/chat/completions', { model: 'triage', messages });
  return {
    label: json.choices[0].message.content,
    confidence: Number(headers['x-cadre-confidence']),
    completionTokens: json.usage.completion_tokens,
  };
}

describe.each([
  ['llama-server', { engine: 'LlamaCpp', task: 'Classification' }],
  ['vLLM', { engine: 'VLLM', task: 'Classification' }],
  ['a classification head', { engine: 'VLLM', task: 'Classification', classify: 'Text' }],
] satisfies [string, Partial<ModelBackend>][])('through the router, the simulated %s', (_, backend) => {
  it('answers the likeliest label with its probability', async () => {
    const answer = await answered(backend, 'Which? [refund=0.7, billing=0.2]');
    expect(answer).toMatchObject({ label: 'refund', confidence: expect.closeTo(0.7, 2) as number });
  });

  it('answers the likeliest label where others that begin alike are likelier together', async () => {
    const answer = await answered(backend, 'Which? [card_arrival=0.3, card_linking=0.3, billing=0.39]');
    expect(answer).toMatchObject({ label: 'billing', confidence: expect.closeTo(0.39, 2) as number });
  });

  it('tells labels apart that begin alike', async () => {
    const answer = await answered(backend, 'Which? [card_arrival=0.2, card_linking=0.5, billing=0.25]');
    expect(answer).toMatchObject({ label: 'card_linking', confidence: expect.closeTo(0.5, 2) as number });
  });

  it('answers the group whose labels are likeliest together, after the temperature', async () => {
    const groups = [
      { name: 'card', labels: ['card_arrival', 'card_linking'] },
      { name: 'money', labels: ['billing', 'refund'] },
    ];
    const output = { labels, groups, temperature: 2 };
    const answer = await answered(backend, '[card_arrival=0.3, card_linking=0.25, billing=0.44, refund=0.01]', output);
    const [a, b, c, d] = [0.3, 0.25, 0.44, 0.01].map(Math.sqrt) as [number, number, number, number];
    expect(answer).toMatchObject({
      label: 'card',
      confidence: expect.closeTo((a + b) / (a + b + c + d), 2) as number,
    });
  });
});

it('a label of one token costs one token', async () => {
  const output = { labels: ['fee', 'card'] };
  const answer = await answered({ engine: 'LlamaCpp' }, 'Which? [fee=0.9, card=0.1]', output);
  expect(answer).toEqual({ label: 'fee', confidence: 0.9, completionTokens: 1 });
});
