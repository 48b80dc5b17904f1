import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { EngineType } from '../../crds/v1alpha1/specialized-model.ts';
import { untilSeen } from '../../process/testing/waiting.ts';
import { estimateOf } from '../../runtime/router/confidence/estimate.ts';
import { labelSet } from '../../runtime/router/confidence/label-set.ts';
import { readPositions } from '../../runtime/router/confidence/positions.ts';
import { chatCompletions } from '../../runtime/router/operations.ts';
import { dialectOf } from '../../runtime/router/providers/dialects.ts';
import { metricSum } from '../../runtime/sidecar/engines/metric.ts';
import { engines } from '../../runtime/sidecar/engines/registry.ts';
import { type Answer, type Choice, getText, openStream, post, type StreamEvent, unstreamed } from './engine-client.ts';
import { type EngineProcess, untilHealthy } from './engine-process.ts';

/** An engine that the contract is tried on. */
export interface EngineUnderTest {
  engine: EngineType;
  /** Starts it with two seats, 1024 tokens of context each, and these flags; it need not be healthy yet. */
  start: (args?: string[]) => Promise<EngineProcess>;
}

/** Long enough that a test can act meanwhile, well within the context. */
const long = { prompt: 'Tell me a story.', max_tokens: 600, ignore_eos: true };
const labels = ['billing', 'refund', 'other'];
const question = [{ role: 'user', content: 'My card was charged twice, I want a refund. Which queue?' }];

/** How the two engines differ where it matters to us; each line was measured on the real ones. */
const traits = {
  LlamaCpp: {
    health: '{"status":"ok"}',
    restrict: { grammar: `root ::= ${labels.map((label) => JSON.stringify(label)).join(' | ')}` },
    unknownModel: 200,
    tooLong: { status: 400, type: 'exceed_context_size_error' },
    noEmbeddings: 501,
    metrics: ['llamacpp:requests_processing', 'llamacpp:requests_deferred', 'llamacpp:tokens_predicted_total'],
    generated: 'llamacpp:tokens_predicted_total',
  },
  VLLM: {
    health: '',
    restrict: { structured_outputs: { choice: labels } },
    unknownModel: 404,
    tooLong: { status: 400, type: 'BadRequestError' },
    noEmbeddings: 404,
    metrics: [
      'vllm:num_requests_running',
      'vllm:num_requests_waiting',
      'vllm:kv_cache_usage_perc',
      'vllm:request_success_total',
    ],
    generated: 'vllm:generation_tokens_total',
  },
} as const;

/**
 * What Cadre relies on in an engine. The simulator and every real engine that is present go through the same tests, so
 * that the simulator can't drift from what it stands for.
 */
export function engineContract(name: string, { engine, start }: EngineUnderTest): void {
  const llama = engine === 'LlamaCpp';
  const trait = traits[engine];

  describe(`${name}, serving`, () => {
    let served: EngineProcess;
    beforeAll(async () => {
      served = await start();
      await untilHealthy(served);
    });
    afterAll(() => served[Symbol.asyncDispose]());

    const inFlight = async (): Promise<number | undefined> =>
      engines[engine].inFlight((await getText(served, '/metrics')).text);
    const generated = async (): Promise<number> =>
      metricSum((await getText(served, '/metrics')).text, trait.generated) ?? Number.NaN;

    it('says that it is healthy and which model it serves', async () => {
      expect(await getText(served, '/health')).toEqual({ status: 200, text: trait.health });
      const models = JSON.parse((await getText(served, '/v1/models')).text) as Answer;
      expect(models.data?.map(({ id }) => id)).toEqual([served.model]);
    });

    it('answers a chat with its text, a reason to stop, and the tokens it took', async () => {
      const { status, body } = await post(served, '/v1/chat/completions', {
        model: served.model,
        messages: question,
        max_tokens: 8,
      });
      expect(status).toBe(200);
      expect(body).toMatchObject({
        object: 'chat.completion',
        model: served.model,
        choices: [{ index: 0, message: { role: 'assistant', content: expect.any(String) } }],
      });
      expect(['stop', 'length']).toContain(body.choices?.[0]?.finish_reason);
      expect(body.usage?.total_tokens).toBe((body.usage?.prompt_tokens ?? 0) + (body.usage?.completion_tokens ?? 0));
      expect(body.usage?.completion_tokens).toBeLessThanOrEqual(8);
    });

    it('streams a chat: the role first, the reason where the engine puts it, the usage, [DONE]', async () => {
      const body = {
        model: served.model,
        messages: question,
        max_tokens: 4,
        ignore_eos: true,
        // By chance an answer may begin with an emoji: llama-server holds back a token that is half of one, and with it the role.
        temperature: 0,
        stream_options: { include_usage: true },
      };
      const { events } = await openStream(served, '/v1/chat/completions', body).ended;
      const chunks = events.slice(0, -1) as unknown as Answer[];
      expect(events.at(-1)).toBe('[DONE]');
      expect(chunks[0]).toMatchObject({
        object: 'chat.completion.chunk',
        choices: [{ delta: { role: 'assistant' }, finish_reason: null }],
      });
      expect(chunks.at(-1)).toMatchObject({ choices: [], usage: { completion_tokens: 4 } });
      const last = chunks.at(-2)?.choices?.[0];
      expect(last?.finish_reason).toBe('length');
      // llama-server ends with a chunk of its own, vLLM with the last piece of text.
      expect(last?.delta?.content === undefined).toBe(llama);
    });

    it('streams a completion as text', async () => {
      const { events } = await openStream(served, '/v1/completions', {
        prompt: 'One, two,',
        max_tokens: 4,
        ignore_eos: true,
      }).ended;
      expect(events.at(-1)).toBe('[DONE]');
      const choices = choicesOf(events);
      expect(choices.map(({ text }) => text).join('')).not.toBe('');
      expect(choices.at(-1)?.finish_reason).toBe('length');
    });

    it('tells the likeliest tokens of a chat, sorted, with their bytes', async () => {
      const { body } = await post(served, '/v1/chat/completions', {
        messages: question,
        max_tokens: 3,
        temperature: 0,
        logprobs: true,
        top_logprobs: 3,
      });
      const tokens = body.choices?.[0]?.logprobs?.content ?? [];
      expect(tokens.length).toBeGreaterThan(0);
      for (const { token, bytes, logprob, top_logprobs: top } of tokens) {
        expect(bytes).toEqual([...Buffer.from(token)]);
        expect(logprob).toBeLessThanOrEqual(0);
        expect(top.length).toBe(3);
        expect(top.map((one) => one.logprob)).toEqual(top.map((one) => one.logprob).toSorted((a, b) => b - a));
      }
    });

    it("tells a completion's logprobs in the engine's own shape", async () => {
      const { body } = await post(served, '/v1/completions', {
        prompt: 'One, two,',
        max_tokens: 2,
        ignore_eos: true,
        temperature: 0,
        logprobs: 2,
      });
      const { content, tokens = [], ...lists } = body.choices?.[0]?.logprobs ?? {};
      const { token_logprobs: values, top_logprobs: top, text_offset: offsets } = lists;
      // llama-server gives completions the shape of chats, vLLM keeps OpenAI's older one.
      expect(content?.map(({ token }) => typeof token)).toEqual(llama ? ['string', 'string'] : undefined);
      const lengths = [tokens.length, values?.length, top?.length, offsets?.length];
      expect(lengths).toEqual(llama ? [0, undefined, undefined, undefined] : [2, 2, 2, 2]);
    });

    it('answers one of the labels when it is held to them', async () => {
      const body = { messages: question, max_tokens: 16, ...trait.restrict };
      const { body: whole } = await post(served, '/v1/chat/completions', body);
      expect(labels).toContain(whole.choices?.[0]?.message?.content);
      expect(whole.choices?.[0]?.finish_reason).toBe('stop');
      const { events } = await openStream(served, '/v1/chat/completions', body).ended;
      expect(labels).toContain(
        choicesOf(events)
          .map(({ delta }) => delta?.content ?? '')
          .join(''),
      );
    });

    it('tells the probability of each label when it is asked as the router asks', async () => {
      const backend = { kind: 'Model', name: 'm', namespace: 'n', model: 'm', engine, task: 'Classification' } as const;
      const set = labelSet({ labels: ['billing', 'refund', 'other'] });
      if (!set) throw new TypeError('there are labels');
      const spoken = set.trained;
      const request = {
        model: served.model,
        messages: question,
        n: 1,
        stop: ['b'],
        ignore_eos: true,
        temperature: 0.7,
      };
      const asked = dialectOf({ ...backend, servedModel: served.model }).request({
        operation: chatCompletions,
        raw: Buffer.from(JSON.stringify(request)),
        body: request,
        stream: false,
        backend: { ...backend, servedModel: served.model },
        servedModel: JSON.stringify(served.model),
        labels: spoken.first,
      });
      const { events } = await openStream(served, asked.path, JSON.parse(asked.body.toString()) as object).ended;
      const choices = choicesOf(events) as unknown as Record<string, unknown>[];
      const positions = choices.flatMap((choice) => readPositions(choice) ?? []);
      expect(positions).toHaveLength(1);
      const estimate = estimateOf(positions, spoken.compiled);
      expect([...(estimate?.seen ?? [])]).toEqual([1, 1, 1]);
      expect(estimate?.probabilities.reduce((sum, p) => sum + p, 0)).toBeCloseTo(1);
      expect(estimate?.shared).toEqual([]);
    });

    it('gives label probabilities that are raw (llama.cpp) or among the allowed only (vLLM)', async () => {
      const body = {
        messages: question,
        max_tokens: 16,
        temperature: 0,
        logprobs: true,
        top_logprobs: 20,
        ...trait.restrict,
      };
      const first = (await post(served, '/v1/chat/completions', body)).body.choices?.[0]?.logprobs?.content?.[0];
      const top = first?.top_logprobs ?? [];
      const allowed = top.filter(({ token }) => token !== '' && labels.some((label) => label.startsWith(token)));
      const others = top.filter((one) => !allowed.includes(one));
      expect(others.length).toBeGreaterThan(0);
      expect(others.every(({ logprob }) => logprob === -9999)).toBe(!llama);
      const mass = allowed.reduce((sum, { logprob }) => sum + Math.exp(logprob), 0);
      expect(mass > 0.99).toBe(!llama);
    });

    it('answers as a schema says', async () => {
      const schema = {
        type: 'object',
        properties: { label: { type: 'string', enum: labels }, urgent: { type: 'boolean' } },
        required: ['label', 'urgent'],
        additionalProperties: false,
      };
      const { body } = await post(served, '/v1/chat/completions', {
        messages: question,
        max_tokens: 64,
        temperature: 0,
        response_format: { type: 'json_schema', json_schema: { name: 'ticket', schema } },
      });
      const value = JSON.parse(body.choices?.[0]?.message?.content ?? '') as { label: string; urgent: boolean };
      expect(labels).toContain(value.label);
      expect(typeof value.urgent).toBe('boolean');
    });

    it.each([
      ['broken JSON', '/v1/chat/completions', '{"messages":', 400],
      ['no messages', '/v1/chat/completions', {}, 400],
      ['no prompt', '/v1/completions', {}, 400],
      [
        'an impossible schema',
        '/v1/chat/completions',
        {
          messages: question,
          response_format: { type: 'json_schema', json_schema: { name: 'x', schema: { type: 'frobnicate' } } },
        },
        400,
      ],
      ['embeddings of a model that generates', '/v1/embeddings', { input: 'x' }, trait.noEmbeddings],
      ['a path that it does not know', '/v1/nothing', {}, 404],
    ] as const)('refuses %s', async (_what, path, body, expected) => {
      const { status, body: answer } = await post(served, path, body);
      expect(status).toBe(expected);
      const message = typeof answer.error === 'object' ? answer.error.message : (answer.error ?? answer.detail);
      expect(message).toEqual(expect.any(String));
    });

    it(`answers a model name that it does not serve with ${trait.unknownModel}`, async () => {
      const { status } = await post(served, '/v1/completions', { model: 'nope', prompt: 'x', max_tokens: 1 });
      expect(status).toBe(trait.unknownModel);
    });

    it('refuses a prompt that is longer than the context, streamed or not, in words of its own', async () => {
      const prompt = 'word '.repeat(3000);
      for (const stream of [false, true]) {
        const { status, body } = await post(served, '/v1/completions', { prompt, max_tokens: 1, stream });
        expect({ status, type: typeof body.error === 'object' ? body.error.type : undefined }).toEqual(trait.tooLong);
      }
    });

    it('has the metrics that Cadre reads', async () => {
      const { text } = await getText(served, '/metrics');
      for (const metric of trait.metrics)
        expect({ metric, value: metricSum(text, metric) }).toEqual({ metric, value: expect.any(Number) });
    });

    it('queues what finds no seat, tells so, and frees the seat of a client that leaves', async () => {
      const streams = Array.from({ length: 4 }, () => openStream(served, '/v1/completions', long));
      expect(await untilSeen(inFlight, (count) => count === 4)).toBe(4);
      await Promise.race(streams.map(({ first }) => first));
      for (const stream of streams) stream.leave();
      await untilSeen(inFlight, (count) => count === 0);
      await Promise.all(streams.map(({ ended }) => ended));
    });

    it(`${llama ? 'works on' : 'stops'} when the client of an unstreamed request leaves`, async () => {
      const before = await generated();
      const request = unstreamed(served, { ...long, max_tokens: 200 });
      await untilSeen(inFlight, (count) => count === 1);
      await request.leave();
      await untilSeen(inFlight, (count) => count === 0);
      const tokens = (await generated()) - before;
      expect(tokens >= 200).toBe(llama);
    });
  });

  describe(`${name}, starting and stopping`, () => {
    it(`${llama ? 'answers 503' : 'refuses connections'} while it loads`, async () => {
      await using starting = await start();
      const seen = new Set<string>();
      await untilSeen(
        async () => {
          const answer = await fetch(`${starting.url}/health`).catch(() => undefined);
          const text = (await answer?.text()) ?? '';
          seen.add(
            answer ? `${answer.status} ${text.includes('Loading model') ? 'Loading model' : ''}`.trim() : 'refused',
          );
          return answer?.status;
        },
        (status) => status === 200,
        120_000,
      );
      const allowed = llama ? ['refused', '503 Loading model', '200'] : ['refused', '200'];
      expect(allowed).toEqual(expect.arrayContaining([...seen]));
    });

    it('ends at once, with 0, when it is idle', async () => {
      await using idle = await healthy();
      idle.kill('SIGTERM');
      expect(await idle.exited).toBe(0);
    });

    it(`${llama ? 'cuts its streams, without [DONE]' : 'ends its streams with the reason abort'}, when it is told to end`, async () => {
      await using stopping = await healthy(llama ? ['--sse-ping-interval', '1'] : []);
      const stream = openStream(stopping, '/v1/completions', long);
      await stream.first;
      stopping.kill('SIGTERM');
      const { events } = await stream.ended;
      expect(await stopping.exited).toBe(0);
      expect(events.at(-1) === '[DONE]').toBe(!llama);
      expect(choicesOf(events).at(-1)?.finish_reason).toBe(llama ? null : 'abort');
    });

    if (llama) {
      it('never answers an unstreamed request once it is told to end, and ends when the client leaves', async () => {
        await using stopping = await healthy();
        const request = unstreamed(stopping, long);
        await untilSeen(
          async () => engines.LlamaCpp.inFlight((await getText(stopping, '/metrics')).text),
          (count) => count === 1,
        );
        stopping.kill('SIGTERM');
        const still = new Promise((resolve) => setTimeout(resolve, 1_500, 'still there'));
        expect(await Promise.race([stopping.exited, still])).toBe('still there');
        await request.leave();
        expect(await stopping.exited).toBe(0);
      });

      it('ends at the second signal, streams or not', async () => {
        await using stopping = await healthy(['--sse-ping-interval', '30']);
        const stream = openStream(stopping, '/v1/completions', long);
        await stream.first;
        stopping.kill('SIGTERM');
        await new Promise((resolve) => setTimeout(resolve, 100));
        stopping.kill('SIGTERM');
        // 0 where it came to its end between the signals.
        expect([0, 1]).toContain(await stopping.exited);
        expect((await stream.ended).events).not.toContain('[DONE]');
      });
    } else {
      it('finishes what is in flight within --shutdown-timeout, and takes nothing new', async () => {
        await using stopping = await healthy(['--shutdown-timeout', '60']);
        const stream = openStream(stopping, '/v1/completions', { ...long, max_tokens: 300 });
        await stream.first;
        stopping.kill('SIGTERM');
        await untilSeen(
          async () => (await post(stopping, '/v1/completions', { prompt: 'x', max_tokens: 1 })).status,
          (status) => status === 500,
        );
        const { events } = await stream.ended;
        expect(choicesOf(events).at(-1)?.finish_reason).toBe('length');
        expect(await stopping.exited).toBe(0);
      });
    }

    it('does not start with a flag that it does not know', async () => {
      await using wrong = await start(['--frobnicate']);
      expect(await wrong.exited).not.toBe(0);
      expect(wrong.output()).toContain('--frobnicate');
    });
  });

  async function healthy(args: string[] = []): Promise<EngineProcess> {
    const started = await start(args);
    await untilHealthy(started, 120_000);
    return started;
  }
}

function choicesOf(events: StreamEvent[]): Choice[] {
  return events.flatMap((event) => (event === '[DONE]' ? [] : ((event as Answer).choices ?? [])));
}
