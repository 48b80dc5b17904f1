import { PassThrough } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { silent } from '../../../kube/testing/objects.ts';
import { createLogger } from '../../../process/logger.ts';
import { classified, vllmChat, vllmStream } from '../testing/answers.ts';
import { type CollectedSpan, type Collector, startCollector } from '../testing/collector.ts';
import { json, startEngine, stream } from '../testing/engine.ts';
import { answering, startProvider } from '../testing/provider.ts';
import { aModel, aProvider, aRoute, clientKey, startRouter } from '../testing/router.ts';
import { loadTracing } from './load.ts';
import { startTracing } from './opentelemetry.ts';

const chat = '/v1/chat/completions';
const ask = (over: object = {}) => ({ model: 'triage', messages: [{ role: 'user', content: 'a-prompt' }], ...over });

const traceId = '0af7651916cd43dd8448eb211c80319c';
const traceparent = `00-${traceId}-b7ad6b7169203331-01`;
const unsampled = `00-${traceId}-b7ad6b7169203331-00`;

const tracingTo = ({ origin }: Collector, over: object = {}) =>
  startTracing({ endpoint: origin, sampleRatio: 1, providers: false, ...over }, silent);

const only = (spans: readonly CollectedSpan[], kind: CollectedSpan['kind']): CollectedSpan => {
  const found = spans.filter((span) => span.kind === kind);
  expect(found).toHaveLength(1);
  return found[0] as CollectedSpan;
};

describe('a traced request', () => {
  it('has a span of its own, and one below it for the call to the engine, with its tokens', async () => {
    await using collector = await startCollector();
    await using engine = await startEngine(json(vllmChat('an-answer')));
    const tracing = tracingTo(collector);
    await using router = await startRouter({
      routes: [aRoute([aModel('small')])],
      endpoints: { small: [engine.origin] },
      tracing,
    });
    await router.post(chat, ask(), { 'x-request-id': 'mine-1' });
    await tracing.shutdown();
    expect(collector.paths()).toEqual(['/v1/traces']);
    expect(collector.resource()).toMatchObject({ 'service.name': 'cadre-router' });
    const request = only(collector.spans(), 'Server');
    const call = only(collector.spans(), 'Client');
    expect(request).toMatchObject({ name: `POST ${chat}`, isError: false });
    expect(request.attributes).toMatchObject({
      'http.request.method': 'POST',
      'http.route': chat,
      'http.response.status_code': 200,
      'cadre.request.id': 'mine-1',
      'cadre.policy': 'support/triage',
      'cadre.backend': 'small',
      'cadre.key': 'web',
      'cadre.attempts': 1,
    });
    expect([call.traceId, call.parentSpanId]).toEqual([request.traceId, request.spanId]);
    expect(call).toMatchObject({ name: 'chat served', isError: false });
    expect(call.attributes).toEqual({
      'gen_ai.operation.name': 'chat',
      'gen_ai.provider.name': 'vllm',
      'gen_ai.request.model': 'served',
      'gen_ai.request.stream': false,
      'gen_ai.usage.input_tokens': 12,
      'gen_ai.usage.output_tokens': 3,
      'cadre.backend': 'small',
      'server.address': '127.0.0.1',
      'server.port': engine.port,
    });
  });

  it("is part of the client's trace, and the engine of the call's span", async () => {
    await using collector = await startCollector();
    await using engine = await startEngine(json(vllmChat('hi')));
    const tracing = tracingTo(collector);
    await using router = await startRouter({
      routes: [aRoute([aModel('small')])],
      endpoints: { small: [engine.origin] },
      tracing,
    });
    await router.post(chat, ask(), { traceparent, tracestate: 'vendor=1' });
    await tracing.shutdown();
    const request = only(collector.spans(), 'Server');
    const call = only(collector.spans(), 'Client');
    expect([request.traceId, request.parentSpanId]).toEqual([traceId, 'b7ad6b7169203331']);
    expect(engine.last.headers['traceparent']).toBe(`00-${traceId}-${call.spanId}-01`);
    expect(engine.last.headers['tracestate']).toBe('vendor=1');
  });

  it('whose client has decided against it is not sent to the collector, and the engine is told so', async () => {
    await using collector = await startCollector();
    await using engine = await startEngine(json(vllmChat('hi')));
    const tracing = tracingTo(collector);
    await using router = await startRouter({
      routes: [aRoute([aModel('small')])],
      endpoints: { small: [engine.origin] },
      tracing,
    });
    await router.post(chat, ask(), { traceparent: unsampled });
    await tracing.shutdown();
    expect(collector.spans()).toEqual([]);
    expect(engine.last.headers['traceparent']).toMatch(new RegExp(`^00-${traceId}-[\\da-f]{16}-00$`));
  });

  it.each(['00-zz-11-01', `ff-${traceId}-b7ad6b7169203331-01`, `00-${'0'.repeat(32)}-b7ad6b7169203331-01`])(
    'begins a trace of its own where the client sent %s',
    async (broken) => {
      await using collector = await startCollector();
      await using engine = await startEngine(json(vllmChat('hi')));
      const tracing = tracingTo(collector);
      await using router = await startRouter({
        routes: [aRoute([aModel('small')])],
        endpoints: { small: [engine.origin] },
        tracing,
      });
      const reply = await router.post(chat, ask(), { traceparent: broken, tracestate: 'vendor=1' });
      await tracing.shutdown();
      const request = only(collector.spans(), 'Server');
      expect([reply.status, request.parentSpanId]).toEqual([200, undefined]);
      expect(engine.last.headers['traceparent']).toContain(request.traceId);
      expect(engine.last.headers['tracestate']).toBeUndefined();
    },
  );

  it('tells of every call, also of those that failed, and never what was asked or answered', async () => {
    await using collector = await startCollector();
    const refusal = { error: { message: 'no, not a-prompt', type: 'server_error' } };
    await using broken = await startEngine(json(refusal, 500));
    await using engine = await startEngine(stream(vllmStream(['an-answer'])));
    const tracing = tracingTo(collector);
    await using router = await startRouter({
      routes: [aRoute([aModel('small'), aModel('large', { servedModel: 'larger' })])],
      endpoints: { small: [broken.origin], large: [engine.origin] },
      tracing,
    });
    const reply = await router.post(chat, ask({ stream: true }));
    expect(reply.text).toContain('an-answer');
    await tracing.shutdown();
    const spans = collector.spans();
    const request = only(spans, 'Server');
    const calls = spans.filter(({ kind }) => kind === 'Client');
    expect(request.attributes).toMatchObject({ 'cadre.backend': 'large', 'cadre.attempts': calls.length });
    expect(calls[0]).toMatchObject({
      isError: true,
      attributes: { 'error.type': 'ServerError', 'cadre.backend': 'small' },
    });
    expect(calls.at(-1)).toMatchObject({
      name: 'chat larger',
      isError: false,
      attributes: {
        'gen_ai.request.stream': true,
        'gen_ai.usage.input_tokens': 12,
        'gen_ai.usage.cache_read.input_tokens': 4,
      },
    });
    for (const secret of ['a-prompt', 'an-answer', clientKey]) expect(collector.text()).not.toContain(secret);
  });

  it('for the labels of several texts has one span, and one call below it where they are asked for together', async () => {
    await using collector = await startCollector();
    const probs = { label: 'billing', probs: [0.9, 0.1], num_classes: 2 };
    await using engine = await startEngine(
      json({
        ...classified('x'),
        data: [
          { index: 0, ...probs },
          { index: 1, ...probs },
        ],
      }),
    );
    const tracing = tracingTo(collector);
    await using router = await startRouter({
      routes: [
        aRoute([aModel('head', { task: 'Classification', classify: 'Text' })], {
          output: { labels: ['billing', 'refund'] },
        }),
      ],
      endpoints: { head: [engine.origin] },
      tracing,
    });
    const reply = await router.post('/v1/classify', { model: 'triage', input: ['a', 'b'] });
    await tracing.shutdown();
    expect(reply.status).toBe(200);
    const request = only(collector.spans(), 'Server');
    const call = only(collector.spans(), 'Client');
    expect([request.name, call.name, call.parentSpanId]).toEqual([
      'POST /v1/classify',
      'classify served',
      request.spanId,
    ]);
  });

  it('that nobody could answer is an error', async () => {
    await using collector = await startCollector();
    const tracing = tracingTo(collector);
    await using router = await startRouter({ routes: [aRoute([aModel('small')])], tracing });
    await router.post(chat, ask());
    await tracing.shutdown();
    expect(collector.spans()).toMatchObject([
      { kind: 'Server', isError: true, attributes: { 'http.response.status_code': 503, 'error.type': '503' } },
    ]);
  });

  it.each([
    ['nothing of it', false],
    ['its id and no more, where this is wanted', true],
  ])('tells a provider %s', async (_what, providers) => {
    await using collector = await startCollector();
    await using provider = await startProvider(json(vllmChat('hi')));
    const tracing = tracingTo(collector, { providers });
    await using router = await startRouter({
      routes: [aRoute([aProvider('flagship', provider.baseUrl)])],
      config: { providers: { allowedCIDRs: ['127.0.0.0/8'] } },
      resolve: answering(['127.0.0.1']),
      ca: [provider.ca],
      tracing,
    });
    await router.post(chat, ask(), { traceparent, tracestate: 'vendor=1' });
    await tracing.shutdown();
    const call = only(collector.spans(), 'Client');
    expect(call.attributes).toMatchObject({ 'gen_ai.provider.name': 'openai', 'gen_ai.request.model': 'gpt' });
    const headers = provider.received[0]?.headers ?? {};
    expect(headers['traceparent']).toBe(providers ? `00-${traceId}-${call.spanId}-01` : undefined);
    expect(headers['tracestate']).toBeUndefined();
    expect(collector.text()).not.toContain('provider-key');
  });
});

describe('tracing', () => {
  it('samples none of the requests whose client did not decide, with a ratio of 0', async () => {
    await using collector = await startCollector();
    await using engine = await startEngine(json(vllmChat('hi')));
    const tracing = tracingTo(collector, { sampleRatio: 0 });
    await using router = await startRouter({
      routes: [aRoute([aModel('small')])],
      endpoints: { small: [engine.origin] },
      tracing,
    });
    await router.post(chat, ask());
    await router.post(chat, ask(), { traceparent });
    await tracing.shutdown();
    expect(collector.spans().map((span) => span.traceId)).toEqual([traceId, traceId]);
  });

  it('whose collector is away says so in the log, and no request notices', async () => {
    await using engine = await startEngine(json(vllmChat('hi')));
    const gone = await startCollector();
    await gone[Symbol.asyncDispose]();
    const lines: string[] = [];
    const output = new PassThrough().on('data', (chunk: Buffer) => lines.push(chunk.toString()));
    const tracing = startTracing(
      { endpoint: gone.origin, sampleRatio: 1, providers: false },
      createLogger('router', 'warn', output),
    );
    await using router = await startRouter({
      routes: [aRoute([aModel('small')])],
      endpoints: { small: [engine.origin] },
      tracing,
    });
    expect((await router.post(chat, ask())).status).toBe(200);
    await tracing.shutdown();
    expect(lines.join('')).toContain('ECONNREFUSED');
  });

  it('is off unless a collector is named, by the configuration or by the environment', async () => {
    const off = { endpoint: '', sampleRatio: 1, providers: false };
    const environment = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:4318' };
    const loaded = async (endpoint: string, variables: Record<string, string>) => {
      const tracing = await loadTracing({ tracing: { ...off, endpoint } }, variables, silent);
      await tracing?.shutdown();
      return tracing !== undefined;
    };
    expect(await loaded('', {})).toBe(false);
    expect(await loaded('http://127.0.0.1:4318', {})).toBe(true);
    expect(await loaded('', environment)).toBe(true);
    expect(await loaded('', { ...environment, OTEL_SDK_DISABLED: 'true' })).toBe(false);
  });
});
