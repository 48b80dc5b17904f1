import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Route } from '../../crds/route-table.ts';
import { vllmChat, vllmStream } from './testing/answers.ts';
import {
  anthropicApi,
  anthropicError,
  anthropicEvents,
  events,
  type Message,
  overloaded,
  text,
  toolUse,
  wire,
} from './testing/anthropic.ts';
import { json, type Script, startEngine, stream as streamOf } from './testing/engine.ts';
import { answering, startProvider, type TestProvider } from './testing/provider.ts';
import { aModel, aProvider, aRoute, clientKey, startRouter, type TestRouter } from './testing/router.ts';

const chat = '/v1/chat/completions';
const ask = (over: object = {}) => ({ model: 'triage', messages: [{ role: 'user', content: 'hello' }], ...over });
const said = (message: Message | Script) => {
  script = typeof message === 'function' ? message : anthropicApi(message);
};
/** The API keeps one connection; what it answers is set by each test. */
let script: Script;
let api: TestProvider;
let router: TestRouter;

const claude = (over = {}) =>
  aProvider('flagship', api.baseUrl, { dialect: 'Anthropic', servedModel: 'claude-sonnet-4-6', ...over });
const route = (over: Partial<Route> = {}, provider = {}) => aRoute([claude(provider)], over);
const sent = () => api.received.at(-1)?.body ?? {};

beforeAll(async () => {
  api = await startProvider((received) => script(received));
  router = await startRouter({
    routes: [],
    config: { providers: { allowedCIDRs: ['127.0.0.0/8'] } },
    resolve: answering(['127.0.0.1']),
    ca: [api.ca],
  });
});

afterAll(async () => {
  await router[Symbol.asyncDispose]();
  await api[Symbol.asyncDispose]();
});

/** The pieces of a stream. */
// oxlint-disable-next-line typescript/no-explicit-any -- answers are looked into freely
function pieces(stream: string): any[] {
  const lines = stream.split('\n\n').filter((line) => line.startsWith('data: {'));
  return lines.map((line) => JSON.parse(line.slice('data: '.length)));
}

describe('a chat with Anthropic', () => {
  it('is asked and answered in OpenAI’s form, with its own key and version', async () => {
    router.setRoutes([route()]);
    said({ content: [text('hi'), text(' there')] });
    const { status, json: got, headers } = await router.post(chat, ask());
    expect([status, headers['x-cadre-model']]).toEqual([200, 'claude-sonnet-4-6']);
    expect(got).toEqual({
      id: 'msg_01',
      object: 'chat.completion',
      created: expect.any(Number),
      model: 'triage',
      choices: [
        {
          index: 0,
          message: { role: 'assistant', content: 'hi there', refusal: null },
          logprobs: null,
          finish_reason: 'stop',
        },
      ],
      usage: {
        prompt_tokens: 150,
        completion_tokens: 7,
        total_tokens: 157,
        prompt_tokens_details: { cached_tokens: 100, cache_write_tokens: 30 },
        completion_tokens_details: { reasoning_tokens: 2 },
      },
    });
    const request = api.received.at(-1);
    expect(request?.headers).toMatchObject({ 'x-api-key': 'provider-key', 'anthropic-version': '2023-06-01' });
    expect(request?.headers.authorization).toBeUndefined();
    expect(request?.body).toEqual({ model: 'claude-sonnet-4-6', max_tokens: 4096, messages: ask().messages });
  });

  it('is streamed as OpenAI streams, and the usage goes to who asked for it', async () => {
    router.setRoutes([route()]);
    said({ content: [{ type: 'thinking', thinking: 'hm', signature: 's' }, text('hello world')] });
    const { text: stream } = await router.post(chat, ask({ stream: true, stream_options: { include_usage: true } }));
    const got = pieces(stream);
    expect(got.map(({ choices }) => choices[0]?.delta ?? 'usage')).toEqual([
      { role: 'assistant', content: '' },
      { content: 'hello' },
      { content: ' world' },
      {},
      'usage',
    ]);
    expect(
      got.every(({ id, object, model }) => id === 'msg_01' && object === 'chat.completion.chunk' && model === 'triage'),
    ).toBe(true);
    expect(got.map(({ choices }) => choices[0]?.finish_reason)).toEqual([null, null, null, 'stop', undefined]);
    expect(got.at(-1).usage).toMatchObject({ prompt_tokens: 150, completion_tokens: 7 });
    expect(stream).toMatch(/data: \[DONE\]\n\n$/);
    const without = await router.post(chat, ask({ stream: true }));
    expect(without.text).not.toContain('usage');
  });

  it.each([true, false])(
    'meters what is read from and written to the cache, and what it thought (streamed: %s)',
    async (stream) => {
      router.setRoutes([
        route({ policy: { namespace: 'support', name: `metered-${stream}`, uid: 'u', generation: 1 } }),
      ]);
      said({ content: [text('hi')] });
      const before = await tokens(stream);
      await router.post(chat, ask({ stream }));
      expect([before, await tokens(stream)]).toEqual([
        { prompt: 0, completion: 0, cached: 0, cacheWrite: 0, reasoning: 0 },
        { prompt: 150, completion: 7, cached: 100, cacheWrite: 30, reasoning: 2 },
      ]);
    },
  );

  const tokens = async (stream: boolean) => ({
    ...router.context.metrics.series(`support/metered-${stream}`, 'flagship').spending.of('web', 'Accepted').tokens,
  });

  it.each([
    ['end_turn', 'stop'],
    ['stop_sequence', 'stop'],
    ['max_tokens', 'length'],
    ['model_context_window_exceeded', 'length'],
    ['tool_use', 'tool_calls'],
    ['refusal', 'content_filter'],
    ['pause_turn', 'stop'],
    ['one_of_tomorrow', 'stop'],
    ['constructor', 'stop'],
  ])('that stops for %s finished for %s', async (stop_reason, finish) => {
    router.setRoutes([route()]);
    said({ content: [text('x')], stop_reason });
    expect((await router.post(chat, ask())).json.choices[0].finish_reason).toBe(finish);
    const streamed = pieces((await router.post(chat, ask({ stream: true }))).text);
    expect(streamed.at(-1).choices[0].finish_reason).toBe(finish);
  });

  it('that is refused says why', async () => {
    router.setRoutes([route()]);
    const stop_details = { type: 'refusal', category: 'bio', explanation: 'not this' };
    said({ content: [], stop_reason: 'refusal', stop_details });
    expect((await router.post(chat, ask())).json.choices[0].message).toEqual({
      role: 'assistant',
      content: '',
      refusal: 'not this',
    });
    const streamed = pieces((await router.post(chat, ask({ stream: true }))).text);
    expect(streamed.at(-1).choices[0].delta).toEqual({ refusal: 'not this' });
  });
});

describe('tools', () => {
  const weather = {
    type: 'function',
    function: {
      name: 'weather',
      description: 'now',
      parameters: { type: 'object', properties: { at: {} } },
      strict: true,
    },
  };

  it('are described and called, whole and streamed', async () => {
    router.setRoutes([route()]);
    const calls = [toolUse('weather', { at: 'Bern' }), toolUse('now', {})];
    said({ content: [text('let me see'), ...calls], stop_reason: 'tool_use' });
    const tools = [weather, { type: 'function', function: { name: 'now' } }];
    const whole = await router.post(chat, ask({ tools, tool_choice: 'required', parallel_tool_calls: false }));
    expect(sent()).toMatchObject({
      tools: [
        { name: 'weather', description: 'now', input_schema: { type: 'object', properties: { at: {} } }, strict: true },
        { name: 'now', input_schema: { type: 'object', properties: {} } },
      ],
      tool_choice: { type: 'any', disable_parallel_tool_use: true },
    });
    const expected = [
      { id: 'toolu_weather', type: 'function', function: { name: 'weather', arguments: '{"at":"Bern"}' } },
      { id: 'toolu_now', type: 'function', function: { name: 'now', arguments: '{}' } },
    ];
    expect(whole.json.choices[0].message.tool_calls).toEqual(expected);
    const stream = pieces((await router.post(chat, ask({ tools, stream: true }))).text);
    const joined: { function: { name: string; arguments: string } }[] = [];
    for (const piece of stream.flatMap(({ choices }) => choices[0]?.delta.tool_calls ?? [])) {
      const { index, function: part, ...rest } = piece;
      joined[index] ??= { ...rest, function: { name: part.name, arguments: '' } };
      (joined[index] as (typeof joined)[number]).function.arguments += part.arguments;
    }
    expect(joined).toEqual(expected);
  });

  it.each([
    ['auto', undefined, { type: 'auto' }],
    ['none', false, { type: 'none' }],
    [undefined, false, { type: 'auto', disable_parallel_tool_use: true }],
    [undefined, true, undefined],
    [{ type: 'function', function: { name: 'weather' } }, undefined, { type: 'tool', name: 'weather' }],
  ])('are chosen as the client says: %j, in parallel: %s', async (tool_choice, parallel_tool_calls, expected) => {
    router.setRoutes([route()]);
    said({ content: [text('x')] });
    expect((await router.post(chat, ask({ tools: [weather], tool_choice, parallel_tool_calls }))).status).toBe(200);
    expect(sent()['tool_choice']).toEqual(expected);
  });

  it('have their results in one message of the user, next to what the calls were', async () => {
    router.setRoutes([route()]);
    said({ content: [text('sunny')] });
    const call = (id: string, args: string) => ({
      id,
      type: 'function',
      function: { name: 'weather', arguments: args },
    });
    const messages = [
      { role: 'system', content: 'be brief' },
      { role: 'user', content: 'weather?' },
      { role: 'assistant', content: null, tool_calls: [call('a', '{"at":"Bern"}'), call('b', '')] },
      { role: 'tool', tool_call_id: 'a', content: '20 °C' },
      { role: 'tool', tool_call_id: 'b', content: [{ type: 'text', text: '10 °C' }] },
      { role: 'developer', content: [{ type: 'text', text: 'in English' }] },
    ];
    await router.post(chat, ask({ messages }));
    expect(sent()).toMatchObject({
      system: 'be brief\nin English',
      messages: [
        { role: 'user', content: 'weather?' },
        {
          role: 'assistant',
          content: [
            { type: 'tool_use', id: 'a', name: 'weather', input: { at: 'Bern' } },
            { type: 'tool_use', id: 'b', name: 'weather', input: {} },
          ],
        },
        {
          role: 'user',
          content: [
            { type: 'tool_result', tool_use_id: 'a', content: '20 °C' },
            { type: 'tool_result', tool_use_id: 'b', content: [{ type: 'text', text: '10 °C' }] },
          ],
        },
      ],
    });
  });
});

describe('what a client sends', () => {
  it.each<[string, object, object]>([
    ['a limit', { max_tokens: 5 }, { max_tokens: 5 }],
    ['the newer limit', { max_completion_tokens: 6, max_tokens: 5 }, { max_tokens: 6 }],
    ['ends', { stop: ['END', '\n'] }, { stop_sequences: ['END'] }],
    ['one end', { stop: 'END' }, { stop_sequences: ['END'] }],
    ['a temperature above Anthropic’s', { temperature: 1.7, top_p: 0.5 }, { temperature: 1 }],
    ['top_p alone', { top_p: 0.5 }, { top_p: 0.5 }],
    ['its user', { user: 'u-1' }, { metadata: { user_id: 'u-1' } }],
    [
      'a schema',
      {
        response_format: { type: 'json_schema', json_schema: { name: 'x', strict: true, schema: { type: 'object' } } },
      },
      { output_config: { format: { type: 'json_schema', schema: { type: 'object' } } } },
    ],
    [
      'images, and what is to be cached',
      {
        messages: [
          {
            role: 'user',
            content: [
              { type: 'text', text: 'look', cache_control: { type: 'ephemeral' } },
              { type: 'image_url', image_url: { url: 'data:image/png;base64,AAAA' } },
              { type: 'image_url', image_url: { url: 'https://example.com/a.png', detail: 'low' } },
            ],
          },
        ],
      },
      {
        messages: [
          {
            role: 'user',
            content: [
              { type: 'text', text: 'look', cache_control: { type: 'ephemeral' } },
              { type: 'image', source: { type: 'base64', media_type: 'image/png', data: 'AAAA' } },
              { type: 'image', source: { type: 'url', url: 'https://example.com/a.png' } },
            ],
          },
        ],
      },
    ],
  ])('is translated: %s', async (_, over, expected) => {
    router.setRoutes([route()]);
    said({ content: [text('x')] });
    expect((await router.post(chat, ask(over))).status).toBe(200);
    expect(sent()).toEqual({ max_tokens: 4096, messages: ask().messages, model: 'claude-sonnet-4-6', ...expected });
  });

  it('and only nudges the answer is left out', async () => {
    router.setRoutes([route()]);
    said({ content: [text('x')] });
    const nudges = {
      n: 1,
      seed: 1,
      logprobs: true,
      top_logprobs: 3,
      logit_bias: { 5: 1 },
      presence_penalty: 1,
      frequency_penalty: 1,
      store: true,
      metadata: { a: 'b' },
      service_tier: 'auto',
      reasoning_effort: 'low',
      response_format: { type: 'text' },
      user: 'someone@example.com',
      unheard_of: true,
    };
    expect((await router.post(chat, ask(nudges))).json.choices[0].logprobs).toBeNull();
    expect(sent()).toEqual({ max_tokens: 4096, messages: ask().messages, model: 'claude-sonnet-4-6' });
  });

  it.each([
    ['claude-3-5-haiku-latest', true],
    ['claude-sonnet-4-20250514', true],
    ['claude-opus-4-5-20251101', true],
    ['claude-haiku-4-5', true],
    ['claude-opus-4-7', false],
    ['claude-opus-5', false],
    ['claude-of-tomorrow', false],
  ])('has its temperature passed on to %s: %s', async (servedModel, passed) => {
    router.setRoutes([route({}, { servedModel })]);
    said({ content: [text('x')] });
    await router.post(chat, ask({ temperature: 0 }));
    expect(sent()['temperature']).toBe(passed ? 0 : undefined);
  });

  it('without a limit gets the one of the policy', async () => {
    router.setRoutes([route({}, { maxTokens: 99 })]);
    said({ content: [text('x')] });
    await router.post(chat, ask());
    expect(sent()['max_tokens']).toBe(99);
  });

  const other: [string, object][] = [
    ['n', { n: 2 }],
    ['response_format', { response_format: { type: 'json_object' } }],
    ['functions', { functions: [{ name: 'f' }] }],
    ['tools[0]', { tools: [{ type: 'custom', custom: { name: 'f' } }] }],
    ['messages[0].content[0]', { messages: [{ role: 'user', content: [{ type: 'input_audio', input_audio: {} }] }] }],
    [
      'messages[0].content[0].image_url',
      { messages: [{ role: 'user', content: [{ type: 'image_url', image_url: { url: 'http://a/b' } }] }] },
    ],
  ];

  it.each(other)('and has no counterpart gets 400 with the field: %s', async (param, over) => {
    router.setRoutes([route()]);
    const before = api.received.length;
    const { status, json: got } = await router.post(chat, ask(over));
    expect([status, got.error.code, got.error.param]).toEqual([400, 'unsupported_parameter', param]);
    expect(got.error.message).toContain('backend "flagship" can\'t be asked so');
    expect(api.received.length).toBe(before);
  });

  it('and has no counterpart is answered by the next backend', async () => {
    await using engine = await startEngine(json(vllmChat('two')));
    router.setRoutes([aRoute([claude(), aModel('small')])]);
    router.setEndpoints({ small: [engine.origin] });
    expect((await router.post(chat, ask({ n: 2 }))).headers['x-cadre-backend']).toBe('small');
  });

  it.each<[string, unknown]>([
    ['messages', 'hello'],
    ['messages[0]', ['hello']],
    ['messages[0].role', [{ role: 'robot', content: 'x' }]],
    ['messages[0].content', [{ role: 'user' }]],
    [
      'messages[1].tool_calls[0].function.arguments',
      [
        { role: 'user', content: 'x' },
        { role: 'assistant', tool_calls: [{ function: { arguments: '{' } }] },
      ],
    ],
  ])('and is no conversation gets 400 with the field: %s', async (param, messages) => {
    router.setRoutes([route()]);
    const { status, json: got } = await router.post(chat, ask({ messages }));
    expect([status, got.error.code, got.error.param]).toEqual([400, 'invalid_type', param]);
  });

  it('nested deeper than the stack gets 400', async () => {
    router.setRoutes([route()]);
    const deep = `${'{"a":'.repeat(50_000)}1${'}'.repeat(50_000)}`;
    const body = JSON.stringify(ask({ tools: [{ type: 'function', function: { name: 'f', parameters: 0 } }] }));
    expect((await router.post(chat, body.replace('"parameters":0', `"parameters":${deep}`))).status).toBe(400);
  });
});

describe('a completion', () => {
  it('is asked as one message of the user, and answered as a text', async () => {
    router.setRoutes([route()]);
    said({ content: [text('ab')] });
    const { json: got } = await router.post('/v1/completions', { model: 'triage', prompt: 'once', max_tokens: 3 });
    expect(sent()).toEqual({
      model: 'claude-sonnet-4-6',
      max_tokens: 3,
      messages: [{ role: 'user', content: 'once' }],
    });
    expect([got.object, got.choices]).toEqual([
      'text_completion',
      [{ text: 'ab', index: 0, logprobs: null, finish_reason: 'stop' }],
    ]);
    const stream = await router.post('/v1/completions', { model: 'triage', prompt: ['once'], stream: true });
    expect(
      pieces(stream.text).map(({ object, choices }) => [object, choices[0].text, choices[0].finish_reason]),
    ).toEqual([
      ['text_completion', 'a', null],
      ['text_completion', 'b', null],
      ['text_completion', '', 'stop'],
    ]);
    const several = await router.post('/v1/completions', { model: 'triage', prompt: ['a', 'b'] });
    expect(several.status).toBe(400);
  });

  it('and a chat is all that it serves: embeddings get 400', async () => {
    router.setRoutes([route()]);
    const { status, json: got } = await router.post('/v1/embeddings', { model: 'triage', input: 'x' });
    expect([status, got.error.code]).toEqual([400, 'unsupported_operation']);
  });
});

describe('the cost of an answer of Anthropic', () => {
  it('has what was read from the cache and written to it at their own prices', async () => {
    const price = { input: 30_000, output: 150_000, cachedInput: 3_000, cacheWrite: 37_500 };
    router.setRoutes([route({}, { price })]);
    said({ content: [text('hi')] });
    // 20 tokens at $3 a million, 100 at $0.30, 30 at $3.75, and 7 at $15.
    expect((await router.post(chat, ask())).headers['x-cadre-cost']).toBe('0.0003075');
  });
});

describe('the Responses API', () => {
  it('is served by Anthropic as a chat is, and falls back as a chat does', async () => {
    const respond = (over: object = {}) => router.post('/v1/responses', { model: 'triage', input: 'hello', ...over });
    router.setRoutes([route()]);
    said({ content: [text('hi')] });
    expect((await respond()).json.output[0].content[0].text).toBe('hi');
    const streamed = await respond({ stream: true });
    expect(streamed.text).toContain('response.completed');
    expect(sent()).toMatchObject({ messages: [{ role: 'user' }], stream: true });
    await using engine = await startEngine(streamOf(vllmStream(['instead'])));
    router.setRoutes([aRoute([claude(), aModel('small')])]);
    router.setEndpoints({ small: [engine.origin] });
    said(anthropicEvents(...events({ content: [] }).slice(0, 2), overloaded));
    const instead = await respond({ stream: true });
    expect([instead.headers['x-cadre-backend'], instead.text]).toEqual(['small', expect.stringContaining('instead')]);
  });
});

describe('an answer that is one of the labels', () => {
  it('is matched by its text, asked for once, and its confidence is unknown', async () => {
    router.setRoutes([route({ output: { labels: ['billing', 'refund'] } })]);
    said({ content: [text(' refund\n')] });
    const before = api.received.length;
    const { json: got, headers } = await router.post(chat, ask());
    expect([got.choices[0].message.content, headers['x-cadre-confidence']]).toEqual(['refund', undefined]);
    expect(api.received.length).toBe(before + 1);
    said({ content: [text('I would say refund')] });
    expect((await router.post(chat, ask())).json.error.code).toBe('invalid_output');
  });
});

describe('an error of Anthropic', () => {
  const broken: [string, Script][] = [
    ['an error in place of the first event', anthropicEvents(overloaded)],
    [
      'an error after the event that opens the stream',
      anthropicEvents(...events({ content: [] }).slice(0, 2), overloaded),
    ],
    ['a stream that ends before its end', anthropicEvents(...events({ content: [text('ab')] }).slice(0, 1))],
    [
      'an event that is not JSON',
      ({ response }) => void response.writeHead(200, { 'content-type': 'text/event-stream' }).end('data: {"type"\n\n'),
    ],
    ['529', anthropicError(529, 'overloaded_error', 'Overloaded')],
    ['500', anthropicError(500, 'api_error', 'Internal server error')],
    ['a key that is wrong', anthropicError(401, 'authentication_error', 'invalid x-api-key')],
    [
      'an empty account',
      anthropicError(400, 'invalid_request_error', 'Your credit balance is too low to access the Anthropic API.'),
    ],
    ['a model that is not there', anthropicError(404, 'not_found_error', 'model: claude-x')],
  ];

  it.each(broken)('before the answer has begun has another backend asked: %s', async (_, fault) => {
    await using engine = await startEngine(streamOf(vllmStream(['instead'])));
    router.setRoutes([aRoute([claude(), aModel('small')])]);
    router.setEndpoints({ small: [engine.origin] });
    said(fault);
    expect((await router.post(chat, ask({ stream: true }))).headers['x-cadre-backend']).toBe('small');
  });

  it.each<[string, Script, number, string, string | undefined]>([
    [
      'too many requests',
      anthropicError(429, 'rate_limit_error', 'slow down', { 'retry-after': '17' }),
      429,
      'rate_limit_exceeded',
      '17',
    ],
    ['overloaded', anthropicError(529, 'overloaded_error', 'Overloaded'), 503, 'backend_overloaded', '1'],
    [
      'a prompt that is too long',
      anthropicError(400, 'invalid_request_error', 'prompt is too long: 210000 tokens > 200000 maximum'),
      400,
      'context_length_exceeded',
      undefined,
    ],
    [
      'a request that it refuses',
      anthropicError(400, 'invalid_request_error', 'messages.0: no'),
      400,
      'invalid_request',
      undefined,
    ],
    [
      'a request that is too large',
      anthropicError(413, 'request_too_large', 'too large'),
      413,
      'invalid_request',
      undefined,
    ],
    ['no message', json({ type: 'message' }), 502, 'backend_failed', undefined],
    ['an error as an answer', json(overloaded), 503, 'backend_overloaded', '1'],
  ])('is told in OpenAI’s form: %s', async (_, fault, status, code, retryAfter) => {
    router.setRoutes([route()]);
    said(fault);
    const got = await router.post(chat, ask());
    expect([got.status, got.json.error.code, got.headers['retry-after']]).toEqual([status, code, retryAfter]);
  });

  it.each([
    ['an error event', [overloaded]],
    ['no end', []],
    ['an end without its reason', [{ type: 'message_stop' }]],
  ])('after the answer has begun ends the stream with an error and without [DONE]: %s', async (_, end) => {
    router.setRoutes([route()]);
    const told = Promise.withResolvers<void>();
    said(async ({ response }) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write(wire(...events({ content: [text('ab')] }).slice(0, 5)));
      await told.promise;
      response.end(wire(...end));
    });
    const answer = await fetch(`${router.origin}${chat}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${clientKey}` },
      body: JSON.stringify(ask({ stream: true })),
    });
    let streamed = '';
    for await (const chunk of answer.body ?? []) {
      streamed += Buffer.from(chunk).toString();
      told.resolve();
    }
    expect(pieces(streamed).at(-1).error.type).toBe('server_error');
    expect(streamed).not.toContain('[DONE]');
    expect(streamed).toContain('"content":"b"');
  });
});
