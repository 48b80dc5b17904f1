import { beforeAll, describe, expect, it } from 'vitest';
import { openaiClient } from '../support/traffic.ts';
import { applyModel, applyPolicy, condition, smollm2, useWorld } from '../support/world.ts';

const labels = ['card_arrival', 'lost_card', 'refund'];

describe('a model and a policy, applied', () => {
  const world = useWorld('serving');

  beforeAll(async () => {
    await applyModel(world, 'specialist', smollm2());
    await applyPolicy(world, 'chat', {
      backends: [{ name: 'specialist', modelRef: { name: 'specialist' } }],
      split: [{ backend: 'specialist', weight: 1 }],
    });
    await applyPolicy(world, 'triage', {
      backends: [{ name: 'specialist', modelRef: { name: 'specialist' } }],
      split: [{ backend: 'specialist', weight: 1 }],
      output: { labels: labels.map((name) => ({ name })) },
    });
    await condition(world, 'models', 'specialist', { type: 'Ready', status: 'True' });
    await condition(world, 'policies', 'chat', { type: 'Ready', status: 'True' });
    await condition(world, 'policies', 'triage', { type: 'Ready', status: 'True' });
  });

  const client = () => openaiClient(world.routerUrl, world.key);

  it('answers a chat completion of the unmodified OpenAI client', async () => {
    const { data, response } = await client()
      .chat.completions.create({
        model: 'chat',
        max_tokens: 24,
        messages: [{ role: 'user', content: 'What is the capital of France?' }],
      })
      .withResponse();
    expect(data.model).toBe('chat');
    expect(data.choices[0]?.message.content).toMatch(/\w+/);
    expect(data.choices[0]?.finish_reason).toMatch(/stop|length/);
    expect(data.usage?.completion_tokens).toBeGreaterThan(0);
    expect(response.headers.get('x-cadre-backend')).toBe('specialist');
    expect(response.headers.get('x-request-id')).toBeTruthy();
  });

  it('streams, piece by piece', async () => {
    const stream = await client().chat.completions.create({
      model: `${world.namespace}/chat`,
      max_tokens: 24,
      stream: true,
      messages: [{ role: 'user', content: 'Count from one to five.' }],
    });
    const pieces: string[] = [];
    let finish: string | null | undefined;
    for await (const chunk of stream) {
      const choice = chunk.choices[0];
      if (choice?.delta.content) pieces.push(choice.delta.content);
      finish = choice?.finish_reason ?? finish;
    }
    expect(pieces.length).toBeGreaterThan(3);
    expect(finish).toMatch(/stop|length/);
  });

  it('answers a label of the set and nothing else', async () => {
    for (const text of ['Where is my new card?', 'Somebody stole my wallet', 'I want my money back']) {
      const answer = await client().completions.create({
        model: 'triage',
        max_tokens: 16,
        prompt: `Message: ${text}\nQueue:`,
      });
      expect(labels).toContain(answer.choices[0]?.text);
    }
  });

  it('lists the models that the key may use', async () => {
    const models = await client().models.list();
    expect(models.data.map(({ id }) => id).sort()).toEqual(['chat', 'triage']);
  });

  it('is shown by kubectl at a glance', async () => {
    const table = await world.cluster.kubectl(['get', 'smodel,rpol', '--namespace', world.namespace]);
    expect(table).toMatch(/NAME\s+READY\s+/);
    expect(table).toMatch(/specializedmodel.cadre.dev\/specialist\s+True\s/);
    expect(table).toMatch(/routingpolicy.cadre.dev\/triage\s+True\s/);
  });

  it('refuses what is wrong with a clear message, in the shape of OpenAI', async () => {
    const post = (body: string, key = world.key) =>
      fetch(`${world.routerUrl}/v1/chat/completions`, {
        method: 'POST',
        headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
        body,
      });
    const cases = [
      { status: 400, message: /JSON/, response: await post('{"model": "chat", ') },
      { status: 401, message: /key/i, response: await post('{"model": "chat", "messages": []}', 'wrong-key') },
      { status: 404, message: /nothing-here.*chat/, response: await post('{"model": "nothing-here", "messages": []}') },
      {
        status: 413,
        message: /10 ?MiB|10485760/,
        response: await post(`{"model": "chat", "x": "${'x'.repeat(20 << 20)}"}`),
      },
    ];
    for (const { status, message, response } of cases) {
      const body = (await response.json()) as { error: { message: string; type: string } };
      expect([response.status, body.error.message]).toEqual([status, expect.stringMatching(message)]);
    }
  });
});
