import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';

const folder = join(import.meta.dirname, '../../examples/ticket-triage');
const read = (name: string) => readFile(join(folder, name), 'utf8');

interface Training {
  base: { sha256: string };
  parameters: number;
  adapter: { sha256: string };
}

it('the model card tells of the adapter beside it, and of the weights that it is for', async () => {
  const card = await read('MODEL_CARD.md');
  const { base, parameters, adapter } = JSON.parse(await read('training.json')) as Training;
  const bytes = await readFile(join(folder, 'adapter.gguf'));
  expect(adapter.sha256).toBe(createHash('sha256').update(bytes).digest('hex'));
  expect(card).toContain(`\`${adapter.sha256}\``);
  expect(card).toContain(`\`${base.sha256}\``);
  expect(card).toContain(`${parameters.toLocaleString('en')} parameters`);
});

it('the model card has the temperatures that are shipped', async () => {
  const { queues, intents } = JSON.parse(await read('temperature.json')) as { queues: number; intents: number };
  expect(await read('MODEL_CARD.md')).toContain(`${queues} for queues, ${intents} for intents`);
});
