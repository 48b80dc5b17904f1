import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { vllm } from '../../../operator/engines/vllm.ts';
import { temporaryFolder } from '../../../process/testing/temporary-folder.ts';
import { untilSeen } from '../../../process/testing/waiting.ts';
import { type Answer, getText, openStream, post } from '../engine-client.ts';
import { untilHealthy } from '../engine-process.ts';
import { startEngineSim } from './start.ts';

const classifier = {
  architectures: ['Qwen2ForSequenceClassification'],
  id2label: { 0: 'billing', 1: 'refund', 2: 'other' },
};

describe('the simulated model', () => {
  it('answers the same question the same way, and prefers the label that the question names', async () => {
    await using sim = await startEngineSim({ engine: 'VLLM' });
    await untilHealthy(sim);
    const ask = (content: string) =>
      post(sim, '/v1/chat/completions', {
        messages: [{ role: 'user', content }],
        structured_outputs: { choice: ['billing', 'refund', 'other'] },
      });
    expect((await ask('Where is my refund?')).body.choices?.[0]?.message?.content).toBe('refund');
    expect((await ask('A question about billing')).body.choices?.[0]?.message?.content).toBe('billing');
    const free = async () =>
      (await post(sim, '/v1/completions', { prompt: 'Hello', max_tokens: 9 })).body.choices?.[0]?.text;
    expect(await free()).toBe(await free());
  });

  it('with a classification head answers /classify and nothing that generates', async () => {
    await using sim = await startEngineSim({ engine: 'VLLM', config: classifier });
    await untilHealthy(sim);
    const { body } = await post(sim, '/classify', { model: 'tiny', input: 'I want a refund' });
    expect(body.data?.[0]).toMatchObject({
      label: 'refund',
      probs: [expect.any(Number), expect.any(Number), expect.any(Number)],
    });
    expect((await post(sim, '/v1/chat/completions', { messages: [] })).status).toBe(404);
  });

  it('of vLLM answers to an adapter by its own name, as it is started for a model with one', async () => {
    await using folder = await temporaryFolder('peft');
    await writeFile(join(folder.path, 'adapter_config.json'), '{}');
    const { args } = vllm.container({
      servedName: 'triage',
      modelPath: '',
      adapterPath: folder.path,
      spec: { task: 'Generation', model: { uri: 'pvc://a/b' }, engine: { type: 'VLLM' }, replicas: 1 },
    });
    const ofAdapter = args.slice(args.indexOf('--enable-lora'));
    await using sim = await startEngineSim({ engine: 'VLLM', model: 'triage-base', args: ofAdapter });
    await untilHealthy(sim);
    const ask = (model: string) => post(sim, '/v1/completions', { model, prompt: 'Hello', max_tokens: 2 });
    expect((await ask('triage')).body).toMatchObject({ model: 'triage' });
    expect((await ask('other')).status).toBe(404);
  });

  it.each([
    ['LlamaCpp', ['--embeddings', '--pooling', 'mean']],
    ['VLLM', ['--runner', 'pooling']],
  ] as const)('of %s embeds texts so that like is near like', async (engine, args) => {
    await using sim = await startEngineSim({ engine, args: [...args] });
    await untilHealthy(sim);
    const input = ['my card was charged twice', 'the card was charged two times', 'opening hours on sunday'];
    const { body } = await post(sim, '/v1/embeddings', { model: 'tiny', input });
    const [a = [], b = [], c = []] = (body.data ?? []).map(({ embedding = [] }) => embedding);
    const near = (x: number[], y: number[]) => x.reduce((sum, value, at) => sum + value * (y[at] ?? 0), 0);
    expect(near(a, b)).toBeGreaterThan(near(a, c));
  });
});

describe('a fault', () => {
  it('holds for as many requests as it says', async () => {
    await using sim = await startEngineSim({ engine: 'VLLM' });
    await untilHealthy(sim);
    await sim.setFaults({ fail: { count: 2, status: 503, retryAfter: '1' } });
    const statuses: number[] = [];
    for (let at = 0; at < 3; at++) statuses.push((await post(sim, '/v1/completions', { prompt: 'x' })).status);
    expect(statuses).toEqual([503, 503, 200]);
  });

  it('cuts a stream after some tokens, or makes its first event an error', async () => {
    await using sim = await startEngineSim({ engine: 'LlamaCpp' });
    await untilHealthy(sim);
    const body = { prompt: 'x', max_tokens: 50, ignore_eos: true };
    await sim.setFaults({ cut: { count: 1, afterTokens: 3 } });
    const cut = await openStream(sim, '/v1/completions', body).ended;
    expect(cut).toMatchObject({ broken: true });
    expect(cut.events.length).toBeLessThanOrEqual(3);
    await sim.setFaults({ errorEvent: { count: 1 } });
    const failed = await openStream(sim, '/v1/completions', body).ended;
    expect((failed.events[0] as Answer).error).toMatchObject({ message: 'simulated failure' });
  });

  it('breaks the connection, or leaves it open without an answer', async () => {
    await using sim = await startEngineSim({ engine: 'LlamaCpp' });
    await untilHealthy(sim);
    await sim.setFaults({ reset: { count: 1 }, health: { status: 503 } });
    await expect(post(sim, '/v1/completions', { prompt: 'x' })).rejects.toThrow('fetch failed');
    expect((await getText(sim, '/health')).status).toBe(503);
    await sim.setFaults({ hang: { count: 1 } });
    const hanging = openStream(sim, '/v1/completions', { prompt: 'x' });
    await untilSeen(
      () => sim.requests(),
      (requests) => requests.length === 2,
    );
    hanging.leave();
    expect(await hanging.ended).toEqual({ events: [], broken: true });
  });

  it('that is misspelt is refused', async () => {
    await using sim = await startEngineSim({ engine: 'VLLM' });
    await untilHealthy(sim);
    await expect(sim.setFaults({ fial: {} } as object)).rejects.toThrow('refused');
  });

  it("of vLLM's core makes it unhealthy, and then ends it with 0", async () => {
    await using sim = await startEngineSim({ engine: 'VLLM' });
    await untilHealthy(sim);
    await sim.crash();
    expect((await getText(sim, '/health')).status).toBe(503);
    expect(await sim.exited).toBe(0);
  });
});

describe('load', () => {
  it("shows in vLLM's metrics: what runs, what waits, how full the memory is, how long it took", async () => {
    const env = { SIM_KV_TOKENS: '200', SIM_DECODE_TOKENS_PER_SECOND: '50' };
    await using sim = await startEngineSim({ engine: 'VLLM', env, args: ['--max-num-seqs', '8'] });
    await untilHealthy(sim);
    const body = { prompt: 'word '.repeat(40), max_tokens: 60, ignore_eos: true };
    const streams = Array.from({ length: 6 }, () => openStream(sim, '/v1/completions', body));
    const waiting = /^vllm:num_requests_waiting\{.*\} (\d+)$/m;
    const text = await untilSeen(
      async () => (await getText(sim, '/metrics')).text,
      (metrics) => Number(waiting.exec(metrics)?.[1]) > 0,
    );
    expect(Number(/^vllm:kv_cache_usage_perc\{.*\} (\S+)$/m.exec(text)?.[1])).toBeGreaterThan(0.3);
    const ended = await Promise.all(streams.map((stream) => stream.ended));
    expect(ended.every(({ events }) => events.at(-1) === '[DONE]')).toBe(true);
    const after = (await getText(sim, '/metrics')).text;
    expect(after).toMatch(/vllm:request_success_total\{.*finished_reason="length"\} 6/);
    expect(after).toMatch(/vllm:time_to_first_token_seconds_count\{.*\} 6/);
  });

  it('beyond --max-num-queued-reqs is refused', async () => {
    const env = { SIM_DECODE_TOKENS_PER_SECOND: '50' };
    await using sim = await startEngineSim({
      engine: 'VLLM',
      env,
      args: ['--max-num-seqs=1', '--max-num-queued-reqs', '2'],
    });
    await untilHealthy(sim);
    const streams = [1, 2].map(() =>
      openStream(sim, '/v1/completions', { prompt: 'x', max_tokens: 500, ignore_eos: true }),
    );
    await untilSeen(
      () => sim.requests(),
      (requests) => requests.length === 2,
    );
    expect(await post(sim, '/v1/completions', { prompt: 'x' })).toMatchObject({
      status: 503,
      body: { error: { type: 'Service Unavailable' } },
    });
    for (const stream of streams) stream.leave();
    await Promise.all(streams.map((stream) => stream.ended));
  });
});

describe('the command line', () => {
  it.each([
    ['LlamaCpp', ['-m', '/nothing.gguf'], 1, 'failed to load model'],
    ['LlamaCpp', ['--max-num-seqs', '4'], 1, 'invalid argument: --max-num-seqs'],
    ['VLLM', ['--ctx-size', '4'], 2, 'unrecognized arguments: --ctx-size'],
    ['VLLM', ['--max-num-seqs', 'many'], 2, 'invalid int value'],
  ] as const)('of %s with %j is refused with exit code %i', async (engine, args, code, words) => {
    await using sim = await startEngineSim({ engine, args: [...args], ownProcess: true });
    expect(await sim.exited).toBe(code);
    expect(sim.output()).toContain(words);
  });

  it("takes vLLM's abbreviations and its --flag=value", async () => {
    await using sim = await startEngineSim({
      engine: 'VLLM',
      args: ['--max-model=300', '--no-enable-prefix-caching', '-tp', '1'],
    });
    await untilHealthy(sim);
    expect((await getText(sim, '/v1/models')).text).toContain('"max_model_len":300');
  });
});
