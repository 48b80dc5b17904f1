import OpenAI, { APIUserAbortError, AuthenticationError, NotFoundError, RateLimitError } from 'openai';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { untilSeen } from '../../process/testing/waiting.ts';
import { type Serving, startServing } from './serving.ts';

const weather = {
  type: 'function',
  function: {
    name: 'weather',
    description: 'The weather of a city.',
    parameters: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] },
  },
} as const;
const person = {
  type: 'object',
  properties: { name: { type: 'string' }, age: { type: 'integer' } },
  required: ['name', 'age'],
  additionalProperties: false,
};

describe('the openai client for npm, unchanged', () => {
  let serving: Serving;
  let client: OpenAI;
  beforeAll(async () => {
    serving = await startServing();
    client = new OpenAI({ baseURL: serving.baseURL, apiKey: serving.apiKey });
  });
  afterAll(() => serving[Symbol.asyncDispose]());

  const ask = { model: 'assistant', messages: [{ role: 'user', content: 'Say something.' }], max_tokens: 8 } as const;
  const bodies = async () => (await serving.engine.requests()).map(({ body }) => body);

  it('lists the models of its key', async () => {
    const models = [];
    for await (const model of client.models.list()) models.push(model.id);
    expect(models).toEqual(['assistant', 'caller', 'embedder']);
    expect((await client.models.retrieve('assistant')).id).toBe('assistant');
  });

  it('chats, and gets the request id and whose answer it is', async () => {
    const {
      data,
      response,
      request_id: id,
    } = await client.chat.completions.create({ ...ask, messages: [...ask.messages] }).withResponse();
    expect(data).toMatchObject({ object: 'chat.completion', model: 'assistant' });
    expect(data.choices[0]?.message.content).toMatch(/\S/);
    expect(data.usage?.completion_tokens).toBe(8);
    expect(id).toMatch(/^[\w-]{36}$/);
    expect(response.headers.get('x-cadre-backend')).toBe('only');
  });

  it('streams the same words, with usage when it asks for it', async () => {
    const whole = await client.chat.completions.create({ ...ask, messages: [...ask.messages] });
    const stream = await client.chat.completions.create({
      ...ask,
      messages: [...ask.messages],
      stream: true,
      stream_options: { include_usage: true },
    });
    let [text, usage] = ['', 0];
    for await (const chunk of stream) {
      text += chunk.choices[0]?.delta.content ?? '';
      usage = chunk.usage?.total_tokens ?? usage;
    }
    expect([text, usage]).toEqual([whole.choices[0]?.message.content, whole.usage?.total_tokens]);
  });

  it('gathers a stream by its own helper', async () => {
    const stream = client.chat.completions.stream({ ...ask, messages: [...ask.messages] });
    const final = await stream.finalChatCompletion();
    expect(final.choices[0]).toMatchObject({ finish_reason: 'length', message: { role: 'assistant' } });
  });

  it.each([true, false])('calls tools, streamed: %s', async (stream) => {
    const messages: OpenAI.ChatCompletionMessageParam[] = [{ role: 'user', content: 'How is the weather in Bern?' }];
    const body = { model: 'caller', tools: [weather], messages };
    const next = async () =>
      stream
        ? (await client.chat.completions.stream(body).finalChatCompletion()).choices[0]?.message
        : (await client.chat.completions.create(body)).choices[0]?.message;
    const first = await next();
    const [call] = first?.tool_calls ?? [];
    if (!first || call?.type !== 'function') throw new Error('no function was called');
    expect(JSON.parse(call.function.arguments)).toEqual({ city: 'Bern' });
    messages.push(first, { role: 'tool', tool_call_id: call.id, content: 'sunny' });
    expect((await next())?.content).toBe('sunny');
    expect(serving.caller.last.body['tools']).toEqual([weather]);
  });

  it('gets structured output, and parses it by its own helper', async () => {
    const { choices } = await client.chat.completions.parse({
      model: 'assistant',
      messages: [{ role: 'user', content: 'Anna is 31.' }],
      response_format: { type: 'json_schema', json_schema: { name: 'person', strict: true, schema: person } },
    });
    expect(choices[0]?.message.parsed ?? JSON.parse(choices[0]?.message.content ?? '')).toEqual({
      name: expect.any(String),
      age: expect.any(Number),
    });
  });

  it('completes a text', async () => {
    const { choices } = await client.completions.create({ model: 'assistant', prompt: 'Once upon', max_tokens: 4 });
    expect(choices[0]?.text).toMatch(/\S/);
  });

  it('embeds texts, which it asks for in base64', async () => {
    const input = ['my card was charged twice', 'opening hours on sunday'];
    const { data } = await client.embeddings.create({ model: 'embedder', input });
    const plain = await client.embeddings.create({ model: 'embedder', input, encoding_format: 'float' });
    expect(data.map(({ index }) => index)).toEqual([0, 1]);
    for (const [at, { embedding }] of data.entries()) {
      expect(Math.hypot(...embedding)).toBeCloseTo(1, 3);
      expect(embedding[0]).toBeCloseTo(plain.data[at]?.embedding[0] as number, 5);
    }
  });

  it('speaks Responses, whole and streamed', async () => {
    const body = { model: 'assistant', input: 'Say something.', max_output_tokens: 16 };
    const whole = await client.responses.create(body);
    expect(whole.output_text).toMatch(/\S/);
    const streamed = await client.responses.stream(body).finalResponse();
    expect(streamed.output_text).toBe(whole.output_text);
    const kept = client.responses.create({ ...body, previous_response_id: whole.id });
    await expect(kept).rejects.toThrow('previous_response_id');
  });

  it('waits as retry-after says when it is limited, and asks again', async () => {
    const before = (await bodies()).length;
    await serving.engine.setFaults({ fail: { count: 1, status: 429, retryAfter: '1' } });
    const { choices } = await client.chat.completions.create({ ...ask, messages: [...ask.messages] });
    expect(choices[0]?.message.content).toMatch(/\S/);
    expect((await bodies()).length - before).toBe(2);

    await serving.engine.setFaults({ fail: { count: 1, status: 429, retryAfter: '1' } });
    const failed = await client.chat.completions
      .create({ ...ask, messages: [...ask.messages] }, { maxRetries: 0 })
      .catch((error: unknown) => error);
    expect(failed).toBeInstanceOf(RateLimitError);
    expect(failed).toMatchObject({ code: 'rate_limit_exceeded', status: 429 });
    expect((failed as RateLimitError).headers?.get('retry-after')).toBe('1');
  });

  it('asks again after a backend that failed', async () => {
    await serving.engine.setFaults({ reset: { count: 1 } });
    const { choices } = await client.chat.completions.create({ ...ask, messages: [...ask.messages] });
    expect(choices[0]?.message.content).toMatch(/\S/);
  });

  it('aborts a stream, and the engine stops its work', async () => {
    const stop = new AbortController();
    const stream = await client.chat.completions.create(
      { model: 'assistant', messages: [{ role: 'user', content: 'Go on and on.' }], max_tokens: 1500, stream: true },
      { signal: stop.signal },
    );
    const read = async (): Promise<void> => {
      for await (const chunk of stream) if (chunk.choices[0]?.delta.content) stop.abort();
    };
    // The client ends the loop in silence, or says that it was aborted.
    const outcome: unknown = await read().catch((error: unknown) => error);
    expect(outcome === undefined || outcome instanceof APIUserAbortError).toBe(true);
    await untilSeen(
      async () => (await fetch(`${serving.engine.url}/metrics`)).text(),
      (text) => /^vllm:num_requests_running\{.*\} 0(\.0)?$/m.test(text),
    );
    await serving.engine.setFaults({ hang: { count: 1 } });
    const hanging = client.chat.completions.create(
      { ...ask, messages: [...ask.messages] },
      { timeout: 200, maxRetries: 0 },
    );
    await expect(hanging).rejects.toThrow('timed out');
  });

  it('says what is wrong by its own classes of errors', async () => {
    const stranger = new OpenAI({ baseURL: serving.baseURL, apiKey: 'sk-nobody' });
    await expect(stranger.models.list()).rejects.toThrow(AuthenticationError);
    const unknown = client.chat.completions.create({ ...ask, messages: [...ask.messages], model: 'gpt-5' });
    await expect(unknown).rejects.toThrow(NotFoundError);
    await expect(unknown).rejects.toMatchObject({ code: 'model_not_found' });
  });
});
