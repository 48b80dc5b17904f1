import OpenAI from 'openai';
import { zodTextFormat } from 'openai/helpers/zod';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { chatChunk, llamaStream, scoredChat, usageChunk, vllmChat, vllmStream } from './testing/answers.ts';
import { event, events, json, type Script, startEngine, stream } from './testing/engine.ts';
import { aModel, aRoute, clientKey, startRouter, type TestRouter } from './testing/router.ts';

const path = '/v1/responses';
const ask = (over: object = {}) => ({ model: 'triage', input: 'hello', ...over });

/** A router with one model, and the official client. */
async function started(script: Script, engineType: 'VLLM' | 'LlamaCpp' = 'VLLM', route: object = {}) {
  const engine = await startEngine(script);
  const router = await startRouter({
    routes: [aRoute([aModel('small', { engine: engineType })], route)],
    endpoints: { small: [engine.origin] },
  });
  return {
    engine,
    router,
    client: clientOf(router),
    async [Symbol.asyncDispose]() {
      await router[Symbol.asyncDispose]();
      await engine[Symbol.asyncDispose]();
    },
  };
}

function clientOf({ origin }: TestRouter): OpenAI {
  return new OpenAI({ baseURL: `${origin}/v1`, apiKey: clientKey, maxRetries: 0 });
}

describe('a response', () => {
  it('is a chat to the backend, and what the client expects to the client', async () => {
    await using test = await started(json(vllmChat('Hello you')));
    const response = await test.client.responses.create({
      model: 'triage',
      instructions: 'Be kind.',
      input: 'hello',
      max_output_tokens: 9,
      temperature: 0.5,
      top_p: 0.9,
      metadata: { team: 'x' },
      store: true,
      reasoning: { effort: 'low' },
    });
    expect(test.engine.last.path).toBe('/v1/chat/completions');
    expect(test.engine.last.body).toEqual({
      model: 'served',
      messages: [
        { role: 'system', content: 'Be kind.' },
        { role: 'user', content: 'hello' },
      ],
      max_completion_tokens: 9,
      temperature: 0.5,
      top_p: 0.9,
      reasoning_effort: 'low',
    });
    expect(response.output_text).toBe('Hello you');
    expect(response).toMatchObject({
      object: 'response',
      status: 'completed',
      model: 'triage',
      store: false,
      instructions: 'Be kind.',
      metadata: { team: 'x' },
      max_output_tokens: 9,
      error: null,
      output: [{ type: 'message', role: 'assistant', status: 'completed' }],
      usage: {
        input_tokens: 12,
        input_tokens_details: { cached_tokens: 0 },
        output_tokens: 3,
        output_tokens_details: { reasoning_tokens: 0 },
        total_tokens: 15,
      },
    });
    expect(await test.router.metric('cadre_router_requests_total', { operation: 'Responses', code: '200' })).toBe(1);
  });

  it('passes fields on that it does not know, and takes null for nothing', async () => {
    await using test = await started(json(vllmChat('x')));
    await test.router.post(path, ask({ min_p: 0.1, seed: 7, user: 'u', tools: null, previous_response_id: null }));
    expect(test.engine.last.body).toEqual({
      model: 'served',
      messages: [{ role: 'user', content: 'hello' }],
      min_p: 0.1,
      seed: 7,
      user: 'u',
    });
  });

  it('of items becomes the messages of a chat', async () => {
    await using test = await started(json(vllmChat('x')));
    const input = [
      { role: 'developer', content: 'Sort.' },
      { type: 'message', role: 'user', content: [{ type: 'input_text', text: 'one' }] },
      {
        role: 'user',
        content: [
          { type: 'input_text', text: 'what is this?' },
          { type: 'input_image', image_url: 'data:image/png;base64,AA==', detail: 'low' },
        ],
      },
      { type: 'reasoning', id: 'rs_1', summary: [] },
      { type: 'message', role: 'assistant', content: [{ type: 'output_text', text: 'I look', annotations: [] }] },
      { type: 'function_call', call_id: 'c1', name: 'look', arguments: '{}' },
      { type: 'function_call', call_id: 'c2', name: 'look', arguments: '{"at":2}' },
      { type: 'function_call_output', call_id: 'c1', output: 'a cat' },
      { type: 'function_call_output', call_id: 'c2', output: [{ type: 'input_text', text: 'a dog' }] },
    ];
    const reply = await test.router.post(path, ask({ input }));
    expect(reply.status).toBe(200);
    expect(test.engine.last.body['messages']).toEqual([
      { role: 'system', content: 'Sort.' },
      { role: 'user', content: 'one' },
      {
        role: 'user',
        content: [
          { type: 'text', text: 'what is this?' },
          { type: 'image_url', image_url: { url: 'data:image/png;base64,AA==', detail: 'low' } },
        ],
      },
      {
        role: 'assistant',
        content: 'I look',
        tool_calls: [
          { id: 'c1', type: 'function', function: { name: 'look', arguments: '{}' } },
          { id: 'c2', type: 'function', function: { name: 'look', arguments: '{"at":2}' } },
        ],
      },
      { role: 'tool', tool_call_id: 'c1', content: 'a cat' },
      { role: 'tool', tool_call_id: 'c2', content: 'a dog' },
    ]);
  });

  it('may call functions, which come back as items', async () => {
    const call = { id: 'c1', type: 'function', function: { name: 'look', arguments: '{"at":1}' } };
    const [choice] = vllmChat('', 'tool_calls').choices;
    const answer = { ...choice, message: { role: 'assistant', content: null, tool_calls: [call] } };
    await using test = await started(json({ ...vllmChat(''), choices: [answer] }));
    const response = await test.client.responses.create({
      model: 'triage',
      input: 'x',
      tools: [{ type: 'function', name: 'look', parameters: { type: 'object' }, strict: true, description: 'Looks.' }],
      tool_choice: { type: 'function', name: 'look' },
      parallel_tool_calls: false,
    });
    expect(test.engine.last.body).toMatchObject({
      tools: [
        {
          type: 'function',
          function: { name: 'look', parameters: { type: 'object' }, strict: true, description: 'Looks.' },
        },
      ],
      tool_choice: { type: 'function', function: { name: 'look' } },
      parallel_tool_calls: false,
    });
    expect(response.output).toMatchObject([
      { type: 'function_call', call_id: 'c1', name: 'look', arguments: '{"at":1}', status: 'completed' },
    ]);
  });

  it('is parsed by the form that was asked for', async () => {
    await using test = await started(json(vllmChat('{"queue":"cards"}')));
    const response = await test.client.responses.parse({
      model: 'triage',
      input: 'x',
      text: { format: zodTextFormat(z.object({ queue: z.string() }), 'ticket') },
    });
    expect(response.output_parsed).toEqual({ queue: 'cards' });
    expect(test.engine.last.body['response_format']).toMatchObject({
      type: 'json_schema',
      json_schema: { name: 'ticket', strict: true, schema: { type: 'object', required: ['queue'] } },
    });
  });

  it('has the log-probabilities that the client includes', async () => {
    await using test = await started(json(scoredChat('hi', { hi: 0.5, ho: 0.25 })));
    const include = ['message.output_text.logprobs'];
    const reply = await test.router.post(path, ask({ include, top_logprobs: 2 }));
    expect(test.engine.last.body).toMatchObject({ logprobs: true, top_logprobs: 2 });
    const [part] = reply.json.output[0].content;
    expect(part.logprobs[0]).toMatchObject({ token: 'hi', logprob: Math.log(0.5) });
    expect((await test.router.post(path, ask())).json.output[0].content[0].logprobs).toEqual([]);
  });

  it('that was cut says so', async () => {
    await using test = await started(json(vllmChat('Hel', 'length')));
    const response = await test.client.responses.create({ model: 'triage', input: 'x' });
    expect([response.status, response.incomplete_details]).toEqual(['incomplete', { reason: 'max_output_tokens' }]);
  });

  it('tells what the model thought and refused', async () => {
    const [choice] = vllmChat('').choices;
    const message = { role: 'assistant', content: null, reasoning: 'Hm.', refusal: 'No.' };
    await using test = await started(json({ ...vllmChat(''), choices: [{ ...choice, message }] }));
    const response = await test.client.responses.create({ model: 'triage', input: 'x' });
    expect(response.output).toMatchObject([
      { type: 'reasoning', content: [{ type: 'reasoning_text', text: 'Hm.' }] },
      { type: 'message', content: [{ type: 'refusal', refusal: 'No.' }] },
    ]);
  });

  it('is one of the labels where the policy has some', async () => {
    const scored = json(scoredChat('bi', { bi: 0.3, refund: 0.6 }));
    const script: Script = (got) => (got.body['stream'] === true ? stream(vllmStream(['refund']))(got) : scored(got));
    await using test = await started(script, 'VLLM', { output: { labels: ['billing', 'refund'] } });
    const { data, response } = await test.client.responses.create({ model: 'triage', input: 'x' }).withResponse();
    expect(data.output_text).toBe('refund');
    expect(response.headers.get('x-cadre-confidence')).toBe('0.6667');
    const final = await test.client.responses.stream({ model: 'triage', input: 'x' }).finalResponse();
    expect(final.output_text).toBe('refund');
    const refused = await test.router.post(path, ask({ text: { format: { type: 'json_object' } } }));
    expect([refused.status, refused.json.error.param]).toEqual([400, 'text.format']);
    expect(refused.json.error.message).toContain('"text.format"');
  });
});

describe('a streamed response', () => {
  it.each([
    ['VLLM' as const, vllmStream(['Hel', 'lo'])],
    ['LlamaCpp' as const, llamaStream(['Hel', 'lo'])],
  ])('tells its events in order (%s)', async (engineType, text) => {
    await using test = await started(stream(text), engineType);
    const seen: OpenAI.Responses.ResponseStreamEvent[] = [];
    const final = await test.client.responses
      .stream({ model: 'triage', input: 'x' })
      .on('event', (one) => seen.push(one))
      .finalResponse();
    expect(seen.map(({ type }) => type)).toEqual([
      'response.created',
      'response.in_progress',
      'response.output_item.added',
      'response.content_part.added',
      'response.output_text.delta',
      'response.output_text.delta',
      'response.output_text.done',
      'response.content_part.done',
      'response.output_item.done',
      'response.completed',
    ]);
    expect(seen.map(({ sequence_number }) => sequence_number)).toEqual(seen.map((_, at) => at));
    const deltas = seen.flatMap((one) => (one.type === 'response.output_text.delta' ? one.delta : []));
    expect(deltas).toEqual(['Hel', 'lo']);
    expect(final.output_text).toBe('Hello');
    expect(final).toMatchObject({
      model: 'triage',
      status: 'completed',
      usage: { input_tokens: 12, output_tokens: 3 },
    });
    expect(final.usage?.input_tokens_details.cached_tokens).toBe(4);
  });

  it('grows the arguments of parallel calls', async () => {
    const call = (index: number, name: string | undefined, given: string) =>
      chatChunk({
        tool_calls: [
          {
            index,
            ...(name && { id: `c${index}`, type: 'function' }),
            function: { ...(name && { name }), arguments: given },
          },
        ],
      });
    const text = events(
      chatChunk({ role: 'assistant', content: '' }),
      chatChunk({ content: 'I look.' }),
      call(0, 'look', ''),
      call(0, undefined, '{"at"'),
      call(0, undefined, ':1}'),
      call(1, 'hear', '{}'),
      chatChunk({}, 'tool_calls'),
      usageChunk,
    );
    await using test = await started(stream(text));
    const final = await test.client.responses
      .stream({
        model: 'triage',
        input: 'x',
        tools: [{ type: 'function', name: 'look', parameters: {}, strict: false }],
      })
      .finalResponse();
    expect(final.output).toMatchObject([
      { type: 'message', content: [{ type: 'output_text', text: 'I look.' }] },
      { type: 'function_call', call_id: 'c0', name: 'look', arguments: '{"at":1}' },
      { type: 'function_call', call_id: 'c1', name: 'hear', arguments: '{}' },
    ]);
  });

  it('that was cut ends as incomplete', async () => {
    await using test = await started(stream(llamaStream(['Hel'], 'length')), 'LlamaCpp');
    const reply = await test.router.post(path, ask({ stream: true }));
    const last = reply.text.trimEnd().split('\n\n').at(-1) ?? '';
    expect(last).toMatch(/^event: response\.incomplete\ndata: \{"type":"response\.incomplete"/);
    expect(last).toContain('"incomplete_details":{"reason":"max_output_tokens"}');
    expect(reply.text).not.toContain('[DONE]');
  });

  it('goes to the next backend while nothing was said, and says nothing of the first', async () => {
    const opening = event(chatChunk({ role: 'assistant', content: '' }));
    const quota = event({ error: { message: 'quota', code: 429 } });
    await using first = await startEngine(stream(opening + quota));
    await using second = await startEngine(stream(vllmStream(['Hi'])));
    await using router = await startRouter({
      routes: [aRoute([aModel('small'), aModel('large')])],
      endpoints: { small: [first.origin], large: [second.origin] },
    });
    const final = await clientOf(router).responses.stream({ model: 'triage', input: 'x' }).finalResponse();
    expect(final.output_text).toBe('Hi');
    expect(first.received.length).toBeGreaterThan(0);
    const reply = await router.post(path, ask({ stream: true }));
    expect(reply.text.match(/^event: response\.created$/gm)).toHaveLength(1);
    expect(reply.headers['x-cadre-backend']).toBe('large');
  });

  it('that breaks after its first words fails', async () => {
    const text = event(chatChunk({ role: 'assistant', content: '' })) + event(chatChunk({ content: 'Hel' }));
    await using test = await started(stream(text));
    const reply = await test.router.post(path, ask({ stream: true }));
    const last = reply.text.trimEnd().split('\n\n').at(-1) ?? '';
    expect(last).toMatch(/^event: response\.failed\n/);
    const { response } = JSON.parse(last.slice(last.indexOf('{'))) as { response: OpenAI.Responses.Response };
    expect(response).toMatchObject({ status: 'failed', error: { code: 'server_error' } });
    expect(response.error?.message).toContain('stopped before the answer was complete');
    expect(response.output).toMatchObject([{ status: 'incomplete', content: [{ text: 'Hel' }] }]);
  });
});

describe('the Responses API', () => {
  it.each([
    [{ previous_response_id: 'resp_1' }, 'previous_response_id', 'send the whole conversation'],
    [{ conversation: 'conv_1' }, 'conversation', 'send the whole conversation'],
    [{ background: true }, 'background', 'wait for the answer, or stream it'],
    [{ prompt: { id: 'p' } }, 'prompt', 'send its text'],
    [{ truncation: 'auto' }, 'truncation', 'the input is never cut'],
    [{ tools: [{ type: 'web_search' }] }, 'tools[0]', 'describe it as type "function"'],
    [{ tool_choice: { type: 'mcp' } }, 'tool_choice', '"auto"'],
    [{ text: { format: { type: 'grammar' } } }, 'text.format', '"json_schema"'],
    [{ input: [{ type: 'item_reference', id: 'x' }] }, 'input[0]', 'send the item itself'],
    [{ input: [{ type: 'computer_call' }] }, 'input[0]', 'run at OpenAI'],
    [
      { input: [{ role: 'user', content: [{ type: 'input_image', file_id: 'f' }] }] },
      'input[0].content[0].file_id',
      '',
    ],
    [{ input: undefined }, 'input', 'is required'],
    [{ input: [] }, 'input', 'has no message'],
    [{ input: [{ role: 'robot', content: 'x' }] }, 'input[0].role', 'must be'],
    [{ input: [{ type: 'function_call', name: 'f', arguments: '{}' }] }, 'input[0].call_id', 'must be a text'],
  ])('refuses %j with the cure', async (over, param, cure) => {
    await using router = await startRouter({ routes: [aRoute([aModel('small')])] });
    const reply = await router.post(path, ask(over));
    expect([reply.status, reply.json.error.param]).toEqual([400, param]);
    expect(reply.json.error.message).toContain(cure);
    expect(reply.headers['x-request-id']).toBeTruthy();
  });

  it('refuses what is nested too deeply to be written', async () => {
    await using router = await startRouter({ routes: [aRoute([aModel('small')])] });
    const deep = `${'['.repeat(200_000)}${']'.repeat(200_000)}`;
    const reply = await router.post(path, `{"model":"triage","input":"x","extra":${deep}}`);
    expect([reply.status, reply.json.error.code]).toEqual([400, 'invalid_json']);
  });
});
