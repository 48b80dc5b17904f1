import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { inMemory } from '../answers.ts';
import { askAll } from './ask.ts';
import type { Answer } from './score.ts';

let server: Server | undefined;
afterEach(() => server?.close());

/** Answers as llama-server does, and keeps what it was asked. */
async function anEngine(answer: (body: { prompt: string }) => object, status = 200) {
  const bodies: Record<string, unknown>[] = [];
  server = createServer((request, response) => {
    let text = '';
    request.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
    request.on('end', () => {
      bodies.push(JSON.parse(text) as Record<string, unknown>);
      response.writeHead(status, { 'content-type': 'application/json' });
      response.end(JSON.stringify(answer(JSON.parse(text) as { prompt: string })));
    });
  });
  await new Promise<void>((resolve) => server?.listen(0, '127.0.0.1', resolve));
  return { baseUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, bodies };
}

const completion = (text: string, finish = 'stop') => ({
  choices: [{ text, finish_reason: finish, logprobs: { content: [{ token: text, logprob: -0.25 }] } }],
  usage: { prompt_tokens: 7, completion_tokens: 3 },
});

describe('asking for records', () => {
  it('gives the text, its tokens and whether it came to an end', async () => {
    const { baseUrl, bodies } = await anEngine(({ prompt }) =>
      completion(`{"${prompt}":1}`, prompt === 'b' ? 'length' : 'stop'),
    );
    const answers = await askAll(['a', 'b'], { baseUrl, schema: { type: 'object' }, stop: ['\n'], store: inMemory() });
    expect(answers).toMatchObject([
      { text: '{"a":1}', tokens: [{ token: '{"a":1}', logprob: -0.25 }], truncated: false, promptTokens: 7 },
      { text: '{"b":1}', truncated: true, completionTokens: 3 },
    ]);
    expect(bodies[0]).toMatchObject({ prompt: 'a', temperature: 0, json_schema: { type: 'object' }, stop: ['\n'] });
  });

  it('asks nothing twice, but again when the schema is another', async () => {
    const { baseUrl, bodies } = await anEngine(() => completion('{}'));
    const store = inMemory<Answer>();
    await askAll(['a', 'a'], { baseUrl, store });
    expect(bodies).toHaveLength(1);
    const seen: [number, number][] = [];
    await askAll(['a', 'c'], { baseUrl, store, onProgress: (done, asked) => seen.push([done, asked]) });
    expect(seen).toEqual([
      [1, 0],
      [2, 1],
    ]);
    await askAll(['a'], { baseUrl, store, schema: {} });
    expect(bodies).toHaveLength(3);
  });

  it('fails with what the engine says', async () => {
    const { baseUrl } = await anEngine(() => ({ error: { message: 'JSON schema error' } }), 400);
    await expect(askAll(['a'], { baseUrl, store: inMemory() })).rejects.toThrow('JSON schema error');
  });
});
