import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, it } from 'vitest';
import { ensureVenv } from '../../hack/python.ts';
import { startServing } from './serving.ts';

const folder = import.meta.dirname;

describe('the openai client for Python, unchanged', () => {
  let python: string;
  // The first time on a machine its packages come from PyPI.
  beforeAll(async () => {
    python = await ensureVenv(join(folder, 'requirements.txt'), (line) => process.stderr.write(`${line}\n`));
  }, 300_000);

  it('gets what it expects of OpenAI', async () => {
    await using serving = await startServing();
    await serving.engine.setFaults({ fail: { count: 2, status: 429, retryAfter: '1' } });
    const env = { ...process.env, OPENAI_API_KEY: serving.apiKey };
    const args = [join(folder, 'openai_client.py'), serving.baseURL];
    const { stdout } = await promisify(execFile)(python, args, { env });
    const lines = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    const told = Object.assign({}, ...lines) as Record<string, { text?: string }>;
    expect(told).toEqual({
      limited: { code: 'rate_limit_exceeded', after: '1', again: true },
      models: ['assistant', 'caller', 'embedder'],
      chat: { text: expect.stringMatching(/\S/), tokens: 8, backend: 'only', id: true },
      stream: { text: told['chat']?.text, tokens: 8 },
      tools: { name: 'weather', arguments: { city: 'Bern' }, answer: 'sunny' },
      structured: { age: 'int', name: 'str' },
      responses: { same: true, text: true },
      embeddings: [1, 1],
      abort: 'left',
      errors: 'model_not_found',
    });
  });
});
