import { HumanMessage, type ToolMessage } from '@langchain/core/messages';
import { tool } from '@langchain/core/tools';
import { ChatOpenAI, OpenAIEmbeddings } from '@langchain/openai';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { type Serving, startServing } from './serving.ts';

describe('LangChain for npm, unchanged', () => {
  let serving: Serving;
  const chat = (model: string) =>
    new ChatOpenAI({ model, apiKey: serving.apiKey, maxTokens: 8, configuration: { baseURL: serving.baseURL } });
  beforeAll(async () => {
    serving = await startServing();
  });
  afterAll(() => serving[Symbol.asyncDispose]());

  it('chats', async () => {
    const answer = await chat('assistant').invoke('Say something.');
    expect(answer.text).toMatch(/\S/);
    expect(answer.usage_metadata).toMatchObject({ output_tokens: 8 });
  });

  it('streams the same words', async () => {
    const model = chat('assistant');
    const pieces: string[] = [];
    for await (const piece of await model.stream('Say something.')) pieces.push(piece.text);
    expect(pieces.filter(Boolean).length).toBeGreaterThan(1);
    expect(pieces.join('')).toBe((await model.invoke('Say something.')).text);
  });

  it('calls tools', async () => {
    const weather = tool(({ city }) => `sunny in ${city}`, {
      name: 'weather',
      description: 'The weather of a city.',
      schema: z.object({ city: z.string() }),
    });
    const model = chat('caller').bindTools([weather]);
    const question = new HumanMessage('How is the weather in Bern?');
    const first = await model.invoke([question]);
    const [call] = first.tool_calls ?? [];
    if (!call) throw new Error('no function was called');
    const told: ToolMessage = await weather.invoke(call);
    expect((await model.invoke([question, first, told])).text).toBe('sunny in Bern');
  });

  it('gets structured output', async () => {
    const person = z.object({ name: z.string(), age: z.number().int() });
    const model = new ChatOpenAI({
      model: 'assistant',
      apiKey: serving.apiKey,
      configuration: { baseURL: serving.baseURL },
    });
    const answer: unknown = await model.withStructuredOutput(person, { method: 'jsonSchema' }).invoke('Anna is 31.');
    expect(person.safeParse(answer).success).toBe(true);
  });

  it('embeds texts', async () => {
    const embeddings = new OpenAIEmbeddings({
      model: 'embedder',
      apiKey: serving.apiKey,
      configuration: { baseURL: serving.baseURL },
    });
    const vectors = await embeddings.embedDocuments(['my card was charged twice', 'opening hours on sunday']);
    expect(vectors.map((vector) => Math.round(Math.hypot(...vector) * 100))).toEqual([100, 100]);
  });

  it('asks again when it is limited', async () => {
    const before = (await serving.engine.requests()).length;
    await serving.engine.setFaults({ fail: { count: 1, status: 429, retryAfter: '1' } });
    expect((await chat('assistant').invoke('Say something.')).text).toMatch(/\S/);
    expect((await serving.engine.requests()).length - before).toBe(2);
  });

  it('aborts', async () => {
    await serving.engine.setFaults({ hang: { count: 1 } });
    const signal = AbortSignal.timeout(200);
    await expect(chat('assistant').invoke('Say something.', { signal })).rejects.toThrow(/abort|cancel|timeout/i);
  });
});
