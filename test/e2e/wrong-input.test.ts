import { describe, expect, it } from 'vitest';
import { resources } from '../../kube/resources.ts';
import { applyModel, applyPolicy, condition, create, smollm2, useWorld } from '../support/world.ts';

/** What a user gets wrong, what the status says, and that the message names the field or thing and the cure. */
describe('what can be wrong with a model is said by its status', () => {
  const world = useWorld('wrong');
  const model = smollm2();

  const cases: { name: string; spec: object; reason: string; message: RegExp; type?: 'Accepted' | 'Ready' }[] = [
    {
      name: 'missing-file',
      spec: { ...model, model: { uri: 'pvc://models/nothing-here.gguf' } },
      reason: 'ModelNotFound',
      message: /nothing-here\.gguf/,
    },
    {
      name: 'not-a-gguf',
      spec: { ...model, model: { uri: 'pvc://models/broken.gguf' } },
      reason: 'NotAGguf',
      message: /broken\.gguf.*GGUF/,
    },
    {
      name: 'wrong-checksum',
      spec: { ...model, model: { ...model.model, sha256: '0'.repeat(64) } },
      reason: 'ChecksumMismatch',
      message: /0{64}/,
    },
    {
      name: 'no-such-image',
      spec: { ...model, engine: { ...model.engine, image: 'registry.invalid/engine:1' } },
      reason: 'ImagePullFailed',
      message: /registry\.invalid\/engine:1/,
    },
    {
      name: 'no-such-gpu',
      spec: { ...model, gpu: { profile: 'nvidia-z9', count: 1 } },
      reason: 'UnknownGpuProfile',
      message: /nvidia-z9/,
      type: 'Accepted',
    },
    {
      name: 'too-many-gpus',
      spec: { ...model, gpu: { profile: 'nvidia-l4', count: 64 } },
      reason: 'Unschedulable',
      message: /nvidia\.com\/gpu/,
    },
    {
      name: 'owned-flag',
      spec: { ...model, engine: { ...model.engine, args: ['--port=9'] } },
      reason: 'InvalidArgs',
      message: /--port/,
      type: 'Accepted',
    },
    {
      name: 'owned-env',
      spec: { ...model, engine: { ...model.engine, env: [{ name: 'LLAMA_ARG_PORT', value: '9' }] } },
      reason: 'InvalidArgs',
      message: /LLAMA_ARG_PORT/,
      type: 'Accepted',
    },
    {
      name: 'no-claim',
      spec: { ...model, model: { uri: 'pvc://no-such-claim/model.gguf' } },
      reason: 'Unschedulable',
      message: /no-such-claim/,
    },
  ];

  it.each(cases)('$name: $reason', async ({ name, spec, reason, message, type = 'Ready' }) => {
    await applyModel(world, name, spec);
    const found = await condition(world, 'models', name, { type, status: 'False', reason });
    expect(found.message).toMatch(message);
  });

  it('names a Secret that does not exist, and notices when it appears', async () => {
    const credentials = { name: 'hub-token' };
    const uri = 'hf://acme/tickets/model.gguf';
    await applyModel(world, 'no-secret', { ...model, model: { uri, revision: 'a'.repeat(40), credentials } });
    const missing = await condition(world, 'models', 'no-secret', {
      type: 'Accepted',
      status: 'False',
      reason: 'SecretNotFound',
    });
    expect(missing.message).toMatch(/hub-token/);
    await create(world.kube, resources.secrets, {
      metadata: { name: 'hub-token', namespace: world.namespace },
      stringData: { token: 'hf_x' },
    });
    await condition(world, 'models', 'no-secret', { type: 'Accepted', status: 'True' }, 10_000);
  });

  it('leaves a Deployment of that name alone that is not ours', async () => {
    const name = 'taken';
    const labels = { app: 'somebody-elses' };
    const container = { name: 'c', image: world.cluster.images['llama-server'] };
    const before = await create(world.kube, resources.deployments, {
      metadata: { name, namespace: world.namespace },
      spec: {
        replicas: 0,
        selector: { matchLabels: labels },
        template: { metadata: { labels }, spec: { containers: [container] } },
      },
    });
    await applyModel(world, name, model);
    const found = await condition(world, 'models', name, { type: 'Ready', status: 'False', reason: 'ChildNameTaken' });
    expect(found.message).toMatch(/Deployment.*taken/);
    const after = await world.kube.get(resources.deployments, name, world.namespace);
    expect(after.metadata).toMatchObject({ uid: before.metadata.uid as string, generation: 1 });
    expect(after.metadata.ownerReferences).toBeUndefined();
  });

  it('tells a policy whose backend does not exist', async () => {
    await applyPolicy(world, 'nowhere', {
      backends: [{ name: 'a', modelRef: { name: 'does-not-exist' } }],
      split: [{ backend: 'a', weight: 1 }],
    });
    const found = await condition(world, 'policies', 'nowhere', {
      type: 'Ready',
      status: 'False',
      reason: 'BackendNotFound',
    });
    expect(found.message).toMatch(/does-not-exist/);
  });
});
