import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { SpecializedModelStatus } from '../../crds/v1alpha1/specialized-model.ts';
import { resources } from '../../kube/resources.ts';
import type { KubeObject } from '../../kube/types.ts';
import { customResources } from '../../operator/custom-resources.ts';
import { eventually } from '../../process/testing/waiting.ts';
import { loraGguf } from '../support/gguf.ts';
import { sha256 } from '../support/hub/hub.ts';
import { openaiClient } from '../support/traffic.ts';
import { applyModel, applyPolicy, condition, create, settled, smollm2, useWorld } from '../support/world.ts';

/** It turns the last layer's output so far that every answer is another one. */
const adapter = loraGguf({ target: ['blk.29.attn_output.weight', 576, 576], value: 1.5 });
const files = {
  'good.gguf': adapter,
  'other-architecture.gguf': loraGguf({ architecture: 'gemma3' }),
  'larger-model.gguf': loraGguf({ target: ['blk.31.attn_q.weight', 960, 960] }),
  'cut.gguf': adapter.subarray(0, adapter.length - 1000),
  'text.gguf': Buffer.from('this is not an adapter\n'),
};
const short = 'Message: {{ messages[-1].content }}\nLabel:';
const longer = `You sort messages into queues, and answer with one word.\n\n${short}`;

/** One model throughout: whatever is wrong with a change of it, what ran before goes on. */
describe('a model with an adapter and a prompt template', () => {
  const world = useWorld('adapter');
  // The claim's folder is shared with other test files.
  const folder = 'adapter-test';
  const base = smollm2(1);
  const uri = (name: string) => `pvc://models/${folder}/${name}`;
  const good = { uri: uri('good.gguf'), sha256: sha256(adapter) };
  const prompts = (key: string, name = 'prompts') => ({ configMap: { name, key } });
  const apply = (model: object) => applyModel(world, 'specialist', { ...base, model: { ...base.model, ...model } });
  const stalled = (reason: string) =>
    condition(world, 'models', 'specialist', { type: 'Stalled', status: 'True', reason }, 240_000);

  beforeAll(async () => {
    const at = join(world.cluster.models, folder);
    await mkdir(at, { recursive: true });
    for (const [name, content] of Object.entries(files)) await writeFile(join(at, name), content);
    await writePrompts('prompts', { short, broken: 'Message: {{ messages[-1].content }' });
    await applyPolicy(world, 'chat', {
      backends: [{ name: 'specialist', modelRef: { name: 'specialist' } }],
      split: [{ backend: 'specialist', weight: 1 }],
      timeouts: { firstByte: '2m', idle: '2m', total: '5m' },
    });
    await apply({});
    await settled(world, 'specialist', 1);
  });
  afterAll(async () => {
    if (world.cluster) await rm(join(world.cluster.models, folder), { recursive: true, force: true });
  });

  it('answers with the adapter once it has rolled out, and its status names its checksum', async () => {
    const before = await ask();
    await apply({ adapter: good });
    await running(({ adapterDigest }) => adapterDigest === digestOf(adapter));
    await settled(world, 'specialist', 1);
    const after = await ask();
    expect(after.promptTokens).toBe(before.promptTokens);
    expect(after.text).not.toBe(before.text);
  });

  it('makes prompts by the template once it has rolled out, and its status names its checksum', async () => {
    const before = await ask();
    await apply({ adapter: good, promptTemplate: prompts('short') });
    const runs = await running(({ promptTemplateDigest }) => promptTemplateDigest === digestOf(short));
    expect(runs?.adapterDigest).toBe(digestOf(adapter));
    await settled(world, 'specialist', 1);
    // SmolLM2's own template begins with a system message.
    expect((await ask()).promptTokens).toBeLessThan(before.promptTokens / 2);
  });

  it.each([
    [
      'for another architecture',
      { uri: uri('other-architecture.gguf') },
      'AdapterMismatch',
      /gemma3.* the model is llama/,
    ],
    ['for a larger model', { uri: uri('larger-model.gguf') }, 'AdapterMismatch', /blk\.31\.attn_q\.weight/],
    [
      'that was cut short',
      { uri: uri('cut.gguf') },
      'InvalidAdapter',
      /cut\.gguf has \d+ bytes of \d+: it was cut short/,
    ],
    ['that is none', { uri: uri('text.gguf') }, 'NotAGguf', /the adapter: text\.gguf is not a GGUF/],
    [
      'with a wrong checksum',
      { ...good, sha256: '0'.repeat(64) },
      'ChecksumMismatch',
      /model\.adapter\.sha256 is 0{64}/,
    ],
    ['that is not there', { uri: uri('none.gguf') }, 'ModelNotFound', /the adapter: there is no .*none\.gguf/],
  ])('says why an adapter %s does not do, and the old replica goes on serving', async (_, wrong, reason, message) => {
    await apply({ adapter: wrong, promptTemplate: prompts('short') });
    const found = await stalled(reason);
    expect(found.message).toMatch(message);
    await stillServes();
  });

  it('says in the engine’s words what is wrong with a template, and the old replica goes on serving', async () => {
    await apply({ adapter: good, promptTemplate: prompts('broken') });
    const found = await stalled('PromptTemplateRefused');
    expect(found.message).toMatch(/Parser Error|not supported/);
    await stillServes();
  });

  it('waits for a ConfigMap that is missing, notices it within ten seconds, and rolls out', async () => {
    await apply({ adapter: good, promptTemplate: prompts('longer', 'later') });
    const missing = await condition(world, 'models', 'specialist', {
      type: 'Accepted',
      status: 'False',
      reason: 'PromptTemplateNotFound',
    });
    expect(missing.message).toMatch(/ConfigMap later does not exist/);
    await stillServes();
    const before = await ask();
    await writePrompts('later', { longer });
    await condition(world, 'models', 'specialist', { type: 'Accepted', status: 'True' }, 10_000);
    await running(({ promptTemplateDigest }) => promptTemplateDigest === digestOf(longer));
    await settled(world, 'specialist', 1);
    expect((await ask()).promptTokens).toBeGreaterThan(before.promptTokens + 5);
  });

  it('rolls out a changed text of the same ConfigMap', async () => {
    const patch = `--patch=${JSON.stringify({ data: { longer: short } })}`;
    await world.cluster.kubectl(['patch', 'configmap', 'later', '--namespace', world.namespace, '--type=merge', patch]);
    await running(({ promptTemplateDigest }) => promptTemplateDigest === digestOf(short));
    await settled(world, 'specialist', 1);
    await stillServes();
    expect((await modelStatus())?.conditions?.map(({ type }) => type)).toEqual(['Accepted', 'Ready']);
  });

  async function ask(): Promise<{ text: string; promptTokens: number }> {
    const answer = await openaiClient(world.routerUrl, world.key).chat.completions.create({
      model: 'chat',
      max_tokens: 12,
      temperature: 0,
      messages: [{ role: 'user', content: 'Where is my card?' }],
    });
    return { text: answer.choices[0]?.message.content ?? '', promptTokens: answer.usage?.prompt_tokens ?? 0 };
  }

  /** What ran before the change still does, and answers. */
  async function stillServes(): Promise<void> {
    await condition(world, 'models', 'specialist', { type: 'Ready', status: 'True' });
    expect((await modelStatus())?.model?.adapterDigest).toBe(digestOf(adapter));
    expect((await ask()).promptTokens).toBeGreaterThan(0);
  }

  async function modelStatus(): Promise<SpecializedModelStatus | undefined> {
    const found = await world.kube.get<KubeObject & { status?: SpecializedModelStatus }>(
      customResources.models,
      'specialist',
      world.namespace,
    );
    return found.status;
  }

  function running(
    isMeant: (model: NonNullable<SpecializedModelStatus['model']>) => boolean,
  ): Promise<SpecializedModelStatus['model']> {
    return eventually(
      'the status to name what was changed',
      async () => {
        const status = await modelStatus();
        if (!status?.model || !isMeant(status.model)) throw new Error(JSON.stringify(status));
        return status.model;
      },
      240_000,
    );
  }

  function writePrompts(name: string, data: Record<string, string>): Promise<KubeObject> {
    return create(world.kube, resources.configMaps, { metadata: { name, namespace: world.namespace }, data });
  }
});

function digestOf(content: string | Buffer): string {
  return `sha256:${sha256(Buffer.from(content))}`;
}
