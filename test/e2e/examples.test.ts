import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { applyExamples, examplesNamespace, untilExamplesAreReady } from '../../hack/examples.ts';
import { inParallel } from '../../hack/in-parallel.ts';
import { routerUrl } from '../../hack/install.ts';
import { type Cluster, connect } from '../../hack/local-cluster/cluster.ts';
import { byQueue, readTicketTriage } from '../../hack/proof/ticket-triage.ts';
import { eventually } from '../../process/testing/waiting.ts';
import { wilsonInterval } from '../../quality/interval.ts';
import { openaiClient } from '../support/traffic.ts';

const manifests = ['ticket-triage/manifests', 'chat'];
const models = ['ticket-triage', 'specialist-alone', 'general-alone', 'assistant'];
const claim = 0.95;
const messageCount = 100;

/** The manifests as they are, applied by kubectl, and what an application has of them. */
describe('the examples', () => {
  let cluster: Cluster;
  let client: ReturnType<typeof openaiClient>;

  beforeAll(async () => {
    const log = (line: string): void => void process.stderr.write(`${line}\n`);
    cluster = await connect({ dir: inject('clusterDir'), log });
    const key = await applyExamples(cluster, manifests);
    await untilExamplesAreReady(cluster, manifests, log);
    client = openaiClient(await routerUrl(cluster), key);
    await eventually('the router to serve all of them', async () => {
      const served = new Set((await client.models.list()).data.map(({ id }) => id));
      const missing = models.filter((name) => !served.has(name));
      if (missing.length > 0) throw new Error(`it lacks ${missing.join(', ')}`);
    });
  });
  afterAll(() => cluster?.kubectl(['delete', 'namespace', examplesNamespace, '--wait=false']));

  const ask = (model: string, text: string) =>
    client.chat.completions.create({ model, messages: [{ role: 'user', content: text }] }).withResponse();

  it('answer a message with a queue, by either model, and say how sure they are', async () => {
    const { queues } = await readTicketTriage();
    const names = queues.map(({ name }) => name);
    for (const [model, backend] of [
      ['specialist-alone', 'specialist'],
      ['general-alone', 'general'],
    ] as const) {
      const { data, response } = await ask(model, 'My card was stolen!');
      expect(names).toContain(data.choices[0]?.message.content);
      expect(response.headers.get('x-cadre-backend')).toBe(backend);
      const confidence = Number(response.headers.get('x-cadre-confidence') ?? Number.NaN);
      // The likeliest of eleven has at least an eleventh.
      expect(confidence).toBeGreaterThanOrEqual(Number((1 / names.length).toFixed(4)));
      expect(confidence).toBeLessThanOrEqual(1);
    }
  });

  it('have a specialist that is not seen to be right on fewer than 95 % of held-out messages', async () => {
    const { messages, intents } = await readTicketTriage();
    const asked = byQueue(messages.test.slice(0, messageCount), intents);
    let right = 0;
    await inParallel(asked.length, 2, async (index) => {
      const { text = '', label } = asked[index] ?? {};
      const { data } = await ask('specialist-alone', text);
      if (data.choices[0]?.message.content === label) right++;
    });
    // Taken as broken when the 95 % Wilson interval of what is seen lies wholly below the claim: 90 right or fewer.
    expect(wilsonInterval(right, messageCount).high).toBeGreaterThanOrEqual(claim);
    expect(wilsonInterval(90, messageCount).high).toBeLessThan(claim);
  });

  it('divide the messages to one name between both models', async () => {
    const servedBy = new Set<string | null>();
    await eventually('both to have answered', async () => {
      const { response } = await ask('ticket-triage', 'Is my money safe?');
      servedBy.add(response.headers.get('x-cadre-backend'));
      if (servedBy.size < 2) throw new Error(`only ${[...servedBy].join()} did`);
    });
    expect(servedBy).toEqual(new Set(['specialist', 'general']));
  });

  it('have an assistant that chats', async () => {
    const { data } = await client.chat.completions
      .create({
        model: 'assistant',
        max_tokens: 24,
        messages: [{ role: 'user', content: 'What is the capital of France?' }],
      })
      .withResponse();
    expect(data.choices[0]?.message.content).toMatch(/\w+/);
  });
});
