import { describe, expect, it } from 'vitest';
import { classified, llamaScored, scoredChat } from './testing/answers.ts';
import { json, type Received, type Script, startEngine, stream } from './testing/engine.ts';
import { answering, startProvider } from './testing/provider.ts';
import { aModel, aProvider, aRoute, startRouter } from './testing/router.ts';

const path = '/v1/classify';
const output = { labels: ['billing', 'refund'] };
const head = aModel('head', { task: 'Classification', classify: 'Text' });
const billing = (p: number) => ({ label: p >= 0.5 ? 'billing' : 'refund', probs: [p, 1 - p], num_classes: 2 });

/** A head that finds `0.9 …` to be billing with a probability of 0.9. */
const byText: Script = (got) => {
  const texts = got.body['input'] as string[];
  const data = texts.map((text, index) => Object.assign({ index }, billing(Number.parseFloat(text))));
  return json({ ...classified('x'), data })(got);
};

/** A chat's last text. */
function textOf({ body }: Received): string {
  return (body['messages'] as { content: string }[]).at(-1)?.content ?? '';
}

describe('POST /v1/classify', () => {
  it('asks a classification head once for all texts', async () => {
    await using engine = await startEngine(byText);
    await using router = await startRouter({
      routes: [aRoute([head], { output })],
      endpoints: { head: [engine.origin] },
    });
    const reply = await router.post(path, { model: 'triage', input: ['0.9 a', '0.25 b', '0.75 c'] });
    expect(engine.received.map(({ path: at, body }) => [at, body])).toEqual([
      ['/classify', { model: 'served', input: ['0.9 a', '0.25 b', '0.75 c'] }],
    ]);
    expect(reply.json).toEqual({
      id: `classify-${String(reply.headers['x-request-id'])}`,
      object: 'list',
      created: expect.any(Number),
      model: 'triage',
      labels: ['billing', 'refund'],
      data: [
        { index: 0, label: 'billing', probability: 0.9, probs: [0.9, 1 - 0.9], num_classes: 2 },
        { index: 1, label: 'refund', probability: 0.75, probs: [0.25, 0.75], num_classes: 2 },
        { index: 2, label: 'billing', probability: 0.75, probs: [0.75, 0.25], num_classes: 2 },
      ],
      usage: {
        prompt_tokens: 12,
        completion_tokens: 0,
        total_tokens: 12,
        prompt_tokens_details: { cached_tokens: 0 },
      },
    });
    expect(reply.headers['x-cadre-confidence']).toBe('0.7500');
    expect(reply.headers['x-cadre-backend']).toBe('head');
    expect(await router.metric('cadre_router_requests_total', { operation: 'Classify', code: '200' })).toBe(1);
    expect(await router.metric('cadre_router_upstream_attempts_total')).toBe(1);
    expect(await router.metric('cadre_router_tokens_total', { kind: 'prompt' })).toBe(12);
  });

  it('takes one place at a backend with maxConcurrency, however many texts it has', async () => {
    await using engine = await startEngine(byText);
    await using router = await startRouter({
      routes: [aRoute([{ ...head, maxConcurrency: 1 }], { output })],
      endpoints: { head: [engine.origin] },
    });
    for (let at = 0; at < 2; at++) {
      const reply = await router.post(path, { model: 'triage', input: ['0.9 a', '0.25 b', '0.75 c'] });
      expect([reply.status, router.context.gates.of('u1', 'head', 1).inFlight]).toEqual([200, 0]);
    }
    expect(engine.received).toHaveLength(2);
  });

  it('takes one text, and the labels of a head where the policy has none', async () => {
    await using engine = await startEngine(byText);
    await using router = await startRouter({ routes: [aRoute([head])], endpoints: { head: [engine.origin] } });
    const reply = await router.post(path, { model: 'triage', input: '0.25 a' });
    expect(engine.last.body['input']).toEqual(['0.25 a']);
    expect(reply.json).not.toHaveProperty('labels');
    expect(reply.json.data).toEqual([
      { index: 0, label: 'refund', probability: 0.75, probs: [0.25, 0.75], num_classes: 2 },
    ]);
  });

  it('takes more texts than go into one request', async () => {
    await using engine = await startEngine(byText);
    await using router = await startRouter({
      routes: [aRoute([head], { output })],
      endpoints: { head: [engine.origin] },
    });
    const input = Array.from({ length: 600 }, (_, at) => `${(at % 100) / 100} x`);
    const reply = await router.post(path, { model: 'triage', input });
    expect(engine.received.map(({ body }) => (body['input'] as string[]).length)).toEqual([256, 256, 88]);
    expect(reply.json.data.map(({ probs }: { probs: number[] }) => `${probs[0]} x`)).toEqual(input);
  });

  it.each([
    ['VLLM' as const, json(scoredChat('refund', { billing: 0.2, refund: 0.6 }))],
    ['LlamaCpp' as const, stream(llamaScored({ refund: 0.75, billing: 0.25 }))],
  ])('asks %s about each text, by its log-probabilities', async (engineType, script) => {
    await using engine = await startEngine(script);
    await using router = await startRouter({
      routes: [aRoute([aModel('small', { engine: engineType, task: 'Classification' })], { output })],
      endpoints: { small: [engine.origin] },
    });
    const reply = await router.post(path, { model: 'triage', input: ['a', 'b'], user: 'u' });
    expect(reply.status).toBe(200);
    expect(engine.received.map(({ path: at, body }) => [at, body['messages'], body['user'], body['input']])).toEqual([
      ['/v1/chat/completions', [{ role: 'user', content: 'a' }], 'u', undefined],
      ['/v1/chat/completions', [{ role: 'user', content: 'b' }], 'u', undefined],
    ]);
    for (const one of reply.json.data) {
      expect(one.label).toBe('refund');
      expect(one.probability).toBeCloseTo(0.75, 10);
      expect(one.probs[0]).toBeCloseTo(0.25, 10);
    }
    expect(await router.metric('cadre_router_tokens_total', { kind: 'prompt' })).toBe(24);
    expect(reply.json.usage.prompt_tokens).toBe(24);
  });

  it('tells a model that was not trained for it what to do, in its own words or the client’s', async () => {
    await using engine = await startEngine(json(scoredChat('refund', { refund: 0.6 })));
    await using router = await startRouter({
      routes: [aRoute([aModel('small')], { output })],
      endpoints: { small: [engine.origin] },
    });
    await router.post(path, { model: 'triage', input: 'a' });
    expect(engine.last.body['messages']).toEqual([
      {
        role: 'system',
        content: 'Classify the text. Answer with exactly one of these labels and nothing else: billing, refund',
      },
      { role: 'user', content: 'a' },
    ]);
    await router.post(path, { model: 'triage', input: 'a', instructions: 'Sort.' });
    expect(engine.last.body['messages']).toEqual([
      { role: 'system', content: 'Sort.' },
      { role: 'user', content: 'a' },
    ]);
  });

  it('of a provider that tells no probabilities has none', async () => {
    const script: Script = (got) =>
      ('logprobs' in got.body ? json({ error: { message: 'no logprobs' } }, 400) : json(scoredChat('refund')))(got);
    await using provider = await startProvider(script);
    await using router = await startRouter({
      routes: [aRoute([aProvider('api', provider.baseUrl)], { output })],
      config: { providers: { allowedCIDRs: ['127.0.0.0/8'] } },
      resolve: answering(['127.0.0.1']),
      ca: [provider.ca],
    });
    const reply = await router.post(path, { model: 'triage', input: 'a' });
    expect(reply.json.data).toEqual([{ index: 0, label: 'refund', probability: null, probs: null, num_classes: 2 }]);
    expect(reply.headers).not.toHaveProperty('x-cadre-confidence');
  });

  it('keeps at most 16 requests of a batch under way', async () => {
    const held: Received[] = [];
    let most = 0;
    await using engine = await startEngine((got) => {
      held.push(got);
      most = Math.max(most, held.length);
      setImmediate(() => {
        held.splice(held.indexOf(got), 1);
        void json(scoredChat('refund', { refund: 1 }))(got);
      });
    });
    await using router = await startRouter({
      routes: [aRoute([aModel('small')], { output })],
      endpoints: { small: [engine.origin] },
    });
    const input = Array.from({ length: 100 }, (_, at) => `text ${at}`);
    const reply = await router.post(path, { model: 'triage', input });
    expect(reply.json.data).toHaveLength(100);
    expect(engine.received.map(textOf).toSorted()).toEqual(input.toSorted());
    expect(most).toBeLessThanOrEqual(16);
  });

  it('asks the next backend when the head fails', async () => {
    await using broken = await startEngine(json({ error: { message: 'busy' } }, 503));
    await using engine = await startEngine(json(scoredChat('refund', { refund: 0.6, billing: 0.4 })));
    await using router = await startRouter({
      routes: [aRoute([head, aModel('large')], { output })],
      endpoints: { head: [broken.origin], large: [engine.origin] },
    });
    const reply = await router.post(path, { model: 'triage', input: ['a', 'b'] });
    expect(broken.received).toHaveLength(1);
    expect(reply.json.data.map(({ label }: { label: string }) => label)).toEqual(['refund', 'refund']);
    expect(reply.headers['x-cadre-backend']).toBe('large');
  });

  it('escalates the texts that are not sure, and only these', async () => {
    await using engine = await startEngine(byText);
    await using large = await startEngine(json(scoredChat('refund', { refund: 0.99, billing: 0.01 })));
    const escalation = {
      steps: [{ to: 'large', threshold: 0.8 }],
      when: ['LowConfidence' as const],
      unknownConfidence: 'Escalate' as const,
    };
    await using router = await startRouter({
      routes: [aRoute([head, aModel('large')], { output, fallback: [], escalation })],
      endpoints: { head: [engine.origin], large: [large.origin] },
    });
    const reply = await router.post(path, { model: 'triage', input: ['0.9 a', '0.6 b', '0.1 c'] });
    expect(reply.json.data.map(({ label, backend }: Record<string, unknown>) => [label, backend])).toEqual([
      ['billing', undefined],
      ['refund', 'large'],
      ['refund', undefined],
    ]);
    expect(large.received.map(textOf)).toEqual(['0.6 b']);
    expect(reply.headers['x-cadre-escalated']).toBe('LowConfidence');
  });

  it('counts what was spent on an answer that was not trusted apart', async () => {
    const spent = (p: number, label: string) => json(scoredChat(label, { billing: p, refund: 1 - p }));
    await using engine = await startEngine(spent(0.6, 'billing'));
    await using large = await startEngine(spent(0.01, 'refund'));
    const steps = [{ to: 'large', threshold: 0.8 }];
    const escalation = { steps, when: ['LowConfidence' as const], unknownConfidence: 'Escalate' as const };
    await using router = await startRouter({
      routes: [aRoute([aModel('small'), aModel('large')], { output, fallback: [], escalation })],
      endpoints: { small: [engine.origin], large: [large.origin] },
    });
    await router.post(path, { model: 'triage', input: ['a', 'b'] });
    const prompts = (labels: object) => router.metric('cadre_router_tokens_total', { kind: 'prompt', ...labels });
    expect(await prompts({ backend: 'small', outcome: 'Escalated' })).toBe(24);
    expect(await prompts({ backend: 'large', outcome: 'Accepted' })).toBe(24);
  });

  it('fails as a whole with the error of the text that failed', async () => {
    await using engine = await startEngine((got) =>
      (textOf(got) === 'long'
        ? json({ error: { message: 'maximum context length is 8 tokens', type: 'BadRequestError' } }, 400)
        : json(scoredChat('refund', { refund: 1 })))(got),
    );
    await using router = await startRouter({
      routes: [aRoute([aModel('small')], { output })],
      endpoints: { small: [engine.origin] },
    });
    const reply = await router.post(path, { model: 'triage', input: ['a', 'long', 'b'] });
    expect([reply.status, reply.json.error.code]).toEqual([400, 'context_length_exceeded']);
    expect(router.context.metrics.inFlight).toBe(0);
    expect(await router.metric('cadre_router_confidence_unknown_total')).toBe(0);
  });

  it('gives up what is under way when the client leaves', async () => {
    await using engine = await startEngine(() => undefined);
    await using router = await startRouter({
      routes: [aRoute([aModel('small')], { output })],
      endpoints: { small: [engine.origin] },
    });
    const leaving = new AbortController();
    const gone = fetch(`${router.origin}${path}`, {
      method: 'POST',
      body: JSON.stringify({ model: 'support/triage', input: Array.from({ length: 20 }, () => 'a') }),
      headers: { authorization: 'Bearer sk-test-0123456789abcdef0123456789abcdef' },
      signal: leaving.signal,
    }).catch(() => 'gone');
    await engine.waitForRequests(16);
    leaving.abort();
    expect(await gone).toBe('gone');
    await expect.poll(() => engine.received.every((one) => one.gone)).toBe(true);
    await expect.poll(() => router.context.metrics.inFlight).toBe(0);
    expect(engine.received).toHaveLength(16);
  });

  it.each([
    [{ input: [] }, 'input'],
    [{ input: [1, 2] }, 'input'],
    [{ input: undefined }, 'input'],
    [{ input: Array.from({ length: 2049 }, () => 'a') }, 'input'],
    [{ input: 'a', stream: true }, 'stream'],
  ])('refuses what is no text', async (over, param) => {
    await using router = await startRouter({ routes: [aRoute([head], { output })] });
    const reply = await router.post(path, { model: 'triage', ...over });
    expect([reply.status, reply.json.error.param]).toEqual([400, param]);
  });

  it('refuses a model that has no labels, with the cure', async () => {
    await using router = await startRouter({ routes: [aRoute([aModel('small')])] });
    const reply = await router.post(path, { model: 'triage', input: 'a' });
    expect([reply.status, reply.json.error.code]).toEqual([400, 'unsupported_operation']);
    expect(reply.json.error.message).toContain('output.labels');
  });

  it('does not believe a head that answers about another number of texts', async () => {
    await using engine = await startEngine(json(classified('billing', 0.9, 0.1)));
    await using router = await startRouter({
      routes: [aRoute([head], { output })],
      endpoints: { head: [engine.origin] },
    });
    const reply = await router.post(path, { model: 'triage', input: ['a', 'b'] });
    expect([reply.status, reply.json.error.code]).toEqual([502, 'backend_failed']);
  });
});
