import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { inMemory } from './answers.ts';
import { predict, type Said } from './predict.ts';

/** Answers as llama-server does, and remembers what it was asked. */
let server: Server;
let baseUrl: string;
const asked: { path: string; body: Record<string, unknown> }[] = [];

beforeAll(async () => {
  server = createServer((request, response) => {
    let text = '';
    request.on('data', (chunk: Buffer) => {
      text += chunk.toString();
    });
    request.on('end', () => {
      const body = JSON.parse(text) as Record<string, unknown>;
      asked.push({ path: request.url ?? '', body });
      if (JSON.stringify(body).includes('too long')) {
        response.writeHead(400).end('{"error":{"message":"the prompt is too long"}}');
        return;
      }
      const top = [
        { token: ' card', prob: 0.6 },
        { token: ' cash', prob: 0.2 },
        { token: ' the', prob: 0.1 },
      ];
      const usage = { prompt_tokens: 19, completion_tokens: 1, prompt_tokens_details: { cached_tokens: 4 } };
      response.end(JSON.stringify({ choices: [{ logprobs: { content: [{ ...top[0], top_probs: top }] } }], usage }));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  baseUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => server.close());

const labels = [
  { name: 'cash', token: ' cash' },
  { name: 'card', token: ' card' },
];
const question = (text: string): { prompt: string } => ({ prompt: `Message: ${text}\nLabel:` });

describe('predictions', () => {
  it('are probabilities over the labels alone, with what they took', async () => {
    const [first] = await predict([{ text: 'Where is it?', label: 'card' }], { baseUrl, question, labels });
    expect(first).toMatchObject({ truth: 1, promptTokens: 19, cachedTokens: 4, completionTokens: 1 });
    expect(first?.probabilities[0]).toBeCloseTo(0.25, 5);
    expect(first?.probabilities[1]).toBeCloseTo(0.75, 5);
    expect(first?.milliseconds).toBeGreaterThan(0);
    expect(asked.at(-1)).toMatchObject({
      path: '/v1/completions',
      body: { max_tokens: 1, logprobs: 3, stream: false },
    });
  });

  it('can be asked of a chat', async () => {
    const chat = (content: string): { messages: { role: 'user'; content: string }[] } => ({
      messages: [{ role: 'user', content }],
    });
    await predict([{ text: 'Hello', label: 'cash' }], { baseUrl, question: chat, labels });
    expect(asked.at(-1)).toMatchObject({
      path: '/v1/chat/completions',
      body: { messages: [{ role: 'user', content: 'Hello' }], logprobs: true, top_logprobs: 3 },
    });
  });

  it('that are known are not asked for again', async () => {
    const store = inMemory<Said>();
    const messages = [
      { text: 'One', label: 'cash' },
      { text: 'Two', label: 'card' },
    ];
    const told: [number, number][] = [];
    const first = await predict(messages, { baseUrl, question, labels, store });
    const before = asked.length;
    const onProgress = (...numbers: [number, number]): void => void told.push(numbers);
    expect(await predict(messages, { baseUrl, question, labels, store, onProgress })).toEqual(first);
    expect(asked.length).toBe(before);
    expect(told).toEqual([
      [1, 0],
      [2, 0],
    ]);
  });

  it('fail with what the engine says, and for a label that there is not', async () => {
    const asking = { baseUrl, question, labels };
    await expect(predict([{ text: 'too long', label: 'cash' }], asking)).rejects.toThrow('the prompt is too long');
    await expect(predict([{ text: 'x', label: 'fee' }], asking)).rejects.toThrow('fee of "x" is not one of 2 labels');
  });
});
