import { pino } from 'pino';
import { afterEach, describe, expect, it } from 'vitest';
import type { EngineType, Task } from '../../crds/v1alpha1/specialized-model.ts';
import { untilSeen } from '../../process/testing/waiting.ts';
import { openStream } from '../../test/support/engine-client.ts';
import { untilHealthy } from '../../test/support/engine-process.ts';
import { type SimulatedEngine, type SimulatorOptions, startEngineSim } from '../../test/support/engine-sim/start.ts';
import { runSidecar } from './main.ts';
import type { SidecarOptions } from './options.ts';

interface Sidecar {
  get: (path: string, headers?: Record<string, string>) => Promise<{ status: number; text: string }>;
  ready: () => Promise<string>;
  stop: () => void;
  ended: Promise<void>;
}

const running: (() => PromiseLike<void>)[] = [];
afterEach(async () => {
  for (const end of running.splice(0).toReversed()) await end();
});

async function engineOf(engine: EngineType, options: Partial<SimulatorOptions> = {}): Promise<SimulatedEngine> {
  const sim = await startEngineSim({ engine, ...options });
  running.push(() => sim[Symbol.asyncDispose]());
  return sim;
}

async function besides(
  port: number,
  engine: EngineType,
  task: Task,
  options: Partial<SidecarOptions> = {},
): Promise<Sidecar> {
  const stopping = new AbortController();
  let onListening: (port: number) => void = () => undefined;
  const listening = new Promise<number>((resolve) => {
    onListening = resolve;
  });
  const ended = runSidecar({
    engine,
    task,
    model: 'tiny',
    engineUrl: `http://127.0.0.1:${port}`,
    port: 0,
    host: '127.0.0.1',
    drainDelayMs: 10,
    drainDeadlineMs: 60_000,
    log: pino({ level: 'silent' }),
    signal: stopping.signal,
    onListening,
    ...options,
    tuning: { loadingPollMs: 20, readyPollMs: 50, drainPollMs: 20, ...options.tuning },
  });
  running.push(async () => {
    stopping.abort();
    await ended;
  });
  const own = `http://127.0.0.1:${await listening}`;
  const get = async (path: string, headers: Record<string, string> = {}) => {
    const response = await fetch(`${own}${path}`, { headers });
    return { status: response.status, text: await response.text() };
  };
  return {
    get,
    ready: async () => {
      const { status, text } = await get('/readyz');
      return status === 200 ? 'ready' : text.trim();
    },
    stop: () => stopping.abort(),
    ended,
  };
}

const long = { prompt: 'A story', max_tokens: 120, ignore_eos: true };
const slow = { SIM_DECODE_TOKENS_PER_SECOND: '60' };
const isReady = (answer: string): boolean => answer === 'ready';

describe('readiness', () => {
  it.each([
    ['LlamaCpp', 'Generation', [], ['/v1/completions']],
    ['LlamaCpp', 'Classification', [], ['/v1/completions', '/v1/completions']],
    ['LlamaCpp', 'Embedding', ['--embeddings'], ['/v1/embeddings']],
    ['VLLM', 'Generation', [], ['/v1/completions']],
    ['VLLM', 'Extraction', [], ['/v1/completions', '/v1/completions']],
    ['VLLM', 'Classification', [], ['/classify', '/v1/completions', '/v1/completions']],
    ['VLLM', 'Embedding', ['--runner', 'pooling'], ['/v1/embeddings']],
  ] as const)('of %s for %s comes after a request of that kind was answered', async (engine, task, args, paths) => {
    const sim = await engineOf(engine, { args: [...args] });
    const sidecar = await besides(sim.port, engine, task);
    expect((await sidecar.get('/healthz')).status).toBe(200);
    await untilSeen(sidecar.ready, isReady);
    expect((await sim.requests()).map(({ path }) => path)).toEqual(paths);
  });

  it('of a model with a classification head comes after it classified something', async () => {
    const config = { architectures: ['BertForSequenceClassification'], id2label: { 0: 'a', 1: 'b' } };
    const sim = await engineOf('VLLM', { config });
    const sidecar = await besides(sim.port, 'VLLM', 'Classification');
    await untilSeen(sidecar.ready, isReady);
    expect((await sim.requests()).map(({ path }) => path)).toEqual(['/classify']);
  });

  it('waits for an engine that loads, and for one that compiles at its first request with logprobs', async () => {
    const sim = await engineOf('VLLM', { env: { SIM_START_SECONDS: '0.3', SIM_FIRST_LOGPROBS_SECONDS: '1' } });
    const sidecar = await besides(sim.port, 'VLLM', 'Generation');
    const seen = new Set<string>();
    await untilSeen(async () => {
      const answer = await sidecar.ready();
      seen.add(answer);
      return answer;
    }, isReady);
    expect(seen).toContain('the engine is warming up');
    expect([...seen].some((answer) => answer.includes('not listen') || answer.includes('not seen'))).toBe(true);
  });

  it('is refused, with the reason, where the engine cannot do its task', async () => {
    const sim = await engineOf('LlamaCpp');
    const sidecar = await besides(sim.port, 'LlamaCpp', 'Embedding');
    const answer = await untilSeen(sidecar.ready, (text) => text.includes('refuses'));
    expect(answer).toContain('does not support embeddings');
  });

  it('is lost when the engine dies, and comes back when its successor was warmed up', async () => {
    const first = await engineOf('LlamaCpp');
    const sidecar = await besides(first.port, 'LlamaCpp', 'Generation');
    await untilSeen(sidecar.ready, isReady);
    first.kill('SIGKILL');
    await untilSeen(sidecar.ready, (answer) => answer.includes('does not listen'));
    const second = await engineOf('LlamaCpp', { port: first.port });
    await untilSeen(sidecar.ready, isReady);
    expect((await second.requests()).length).toBe(1);
    expect((await sidecar.get('/metrics')).text).toContain('cadre_engine_restarts_total 1');
  });

  it.each(['LlamaCpp', 'VLLM'] as const)(
    'notices a restart of %s that fell between two looks',
    async (engine) => {
      const first = await engineOf(engine);
      const sidecar = await besides(first.port, engine, 'Generation', { tuning: { readyPollMs: 4_000 } });
      await untilSeen(sidecar.ready, isReady);
      first.kill('SIGKILL');
      await first.exited;
      const second = await engineOf(engine, { port: first.port });
      await untilHealthy(second);
      const warmedUp = await untilSeen(
        () => second.requests(),
        (requests) => requests.length > 0,
      );
      expect(warmedUp.map(({ path }) => path)).toEqual(['/v1/completions']);
      await untilSeen(sidecar.ready, isReady);
    },
    60_000,
  );

  it("is lost when vLLM's core dies, while its server still answers", async () => {
    const sim = await engineOf('VLLM');
    const sidecar = await besides(sim.port, 'VLLM', 'Generation');
    await untilSeen(sidecar.ready, isReady);
    await sim.setFaults({ health: { status: 503 } });
    expect(await untilSeen(sidecar.ready, (answer) => !isReady(answer))).toContain('answers 503');
  });
});

describe('metrics', () => {
  it("are the engine's with the sidecar's own after them, each name once", async () => {
    const sim = await engineOf('VLLM');
    const sidecar = await besides(sim.port, 'VLLM', 'Generation');
    await untilSeen(sidecar.ready, isReady);
    const { text } = await sidecar.get('/metrics');
    expect(text).toContain('vllm:num_requests_running{');
    expect(text).toContain('cadre_engine_ready 1');
    const types = [...text.matchAll(/^# TYPE (\S+)/gm)].map(([, name]) => name);
    expect(types.length).toBe(new Set(types).size);
  });

  it("are the sidecar's own where the engine's cannot be read", async () => {
    const sidecar = await besides(9, 'LlamaCpp', 'Generation');
    const { status, text } = await sidecar.get('/metrics');
    expect(status).toBe(200);
    expect(text).toContain('cadre_engine_metrics_up 0');
    expect(text).toContain('cadre_engine_ready 0');
  });
});

describe('draining', () => {
  it.each(['LlamaCpp', 'VLLM'] as const)(
    '%s waits for streams in flight and for those that are queued',
    async (engine) => {
      const args = engine === 'LlamaCpp' ? ['-np', '2'] : ['--max-num-seqs', '2'];
      const sim = await engineOf(engine, { env: slow, args });
      const sidecar = await besides(sim.port, engine, 'Generation');
      await untilSeen(sidecar.ready, isReady);
      const streams = Array.from({ length: 4 }, () => openStream(sim, '/v1/completions', long));
      await Promise.race(streams.map(({ first }) => first));
      const drains = [sidecar.get('/drain'), sidecar.get('/drain')];
      expect(await untilSeen(sidecar.ready, (answer) => !isReady(answer))).toBe('draining');
      const answers = await Promise.all(drains);
      const inTime = await Promise.all(streams.map(({ ended }) => ended));
      expect(inTime.every(({ events }) => events.at(-1) === '[DONE]')).toBe(true);
      expect(answers.map(({ status }) => status)).toEqual([200, 200]);
      expect(JSON.parse(answers[0]?.text ?? '')).toMatchObject({ drained: true, inFlight: 0 });
      expect(answers[1]).toEqual(answers[0]);
      expect(await sidecar.ready()).toBe('draining');
    },
    60_000,
  );

  it('is for who has the key, where there is one: nobody else makes the pod unready', async () => {
    const sim = await engineOf('LlamaCpp');
    const sidecar = await besides(sim.port, 'LlamaCpp', 'Generation', { drainKey: '5f3a' });
    await untilSeen(sidecar.ready, isReady);
    for (const key of [undefined, '', '5f3', '5f3a5']) {
      const refused = await sidecar.get('/drain', key === undefined ? {} : { 'x-cadre-drain': key });
      expect(refused).toEqual({ status: 403, text: 'the header x-cadre-drain must be the drain key\n' });
    }
    expect(await sidecar.ready()).toBe('ready');
    expect((await sidecar.get('/metrics')).text).toContain('cadre_engine_draining 0');
    expect((await sidecar.get('/drain', { 'X-Cadre-Drain': '5f3a' })).status).toBe(200);
    expect(await sidecar.ready()).toBe('draining');
  });

  it('ends at its deadline, and says what is still in flight', async () => {
    const sim = await engineOf('VLLM', { env: slow });
    const sidecar = await besides(sim.port, 'VLLM', 'Generation', { drainDeadlineMs: 500 });
    await untilSeen(sidecar.ready, isReady);
    const stream = openStream(sim, '/v1/completions', { ...long, max_tokens: 1500 });
    await stream.first;
    expect(JSON.parse((await sidecar.get('/drain')).text)).toMatchObject({ drained: false, inFlight: 1 });
    stream.leave();
    await stream.ended;
  });

  it('does not take what it cannot see for nothing', async () => {
    // The metrics of another engine tell nothing of llama-server's.
    const sim = await engineOf('VLLM');
    await untilHealthy(sim);
    const sidecar = await besides(sim.port, 'LlamaCpp', 'Generation', { drainDeadlineMs: 500 });
    expect(JSON.parse((await sidecar.get('/drain')).text)).toMatchObject({ drained: false, inFlight: null });
  });

  it('is over at once where no engine is', async () => {
    const sidecar = await besides(9, 'VLLM', 'Generation');
    expect(JSON.parse((await sidecar.get('/drain')).text)).toMatchObject({ drained: true });
  });

  it('ends when only the engine is restarted and its successor is warm', async () => {
    const first = await engineOf('LlamaCpp');
    const sidecar = await besides(first.port, 'LlamaCpp', 'Generation');
    await untilSeen(sidecar.ready, isReady);
    expect((await sidecar.get('/drain')).status).toBe(200);
    first.kill('SIGKILL');
    await first.exited;
    expect(await sidecar.ready()).toBe('draining');
    await engineOf('LlamaCpp', { port: first.port });
    await untilSeen(sidecar.ready, isReady);
  });
});

describe('the end', () => {
  it('comes at once, also in the middle of a drain', async () => {
    const sim = await engineOf('VLLM', { env: slow });
    const sidecar = await besides(sim.port, 'VLLM', 'Generation');
    await untilSeen(sidecar.ready, isReady);
    const stream = openStream(sim, '/v1/completions', { ...long, max_tokens: 1500 });
    await stream.first;
    const drained = sidecar.get('/drain').catch(() => 'cut');
    await untilSeen(sidecar.ready, (answer) => answer === 'draining');
    sidecar.stop();
    await sidecar.ended;
    await drained;
    stream.leave();
    await stream.ended;
    expect(await sidecar.ready().catch(() => 'gone')).toBe('gone');
  });
});
