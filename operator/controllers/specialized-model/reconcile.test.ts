import { describe, expect, it } from 'vitest';
import { KubeError } from '../../../kube/errors.ts';
import type { Deployment, Pod } from '../../context.ts';
import { aModel, type ModelBuilder } from './testing/model-builder.ts';
import { aPod } from './testing/pod-builder.ts';
import { World } from './testing/world.ts';

const five = ['Deployment', 'Service', 'ServiceAccount', 'PodDisruptionBudget', 'NetworkPolicy'];

/** A model that serves with all its replicas. */
async function serving(builder: ModelBuilder, ...pods: Pod[]): Promise<World> {
  const world = new World(builder.build());
  world.has(...(pods.length > 0 ? pods : [aPod(builder.build()).ready().build()]));
  await world.reconcile();
  expect(world.condition('Ready')).toMatchObject({ status: 'True' });
  world.writes = 0;
  world.events.length = 0;
  return world;
}

/** Whether another look at the same world changes nothing. */
async function expectRest(world: World): Promise<void> {
  const { writes } = world;
  world.now += 3600_000;
  expect(await world.reconcile()).toBe('never');
  expect(world.writes - writes).toBe(0);
}

describe('a new model', () => {
  it('is served with eight writes at most, status and event included, and then rests', async () => {
    const model = aModel().build();
    const world = new World(model);
    world.now = Date.parse('2026-01-01T00:00:00.500Z');
    expect(await world.reconcile()).toEqual({ afterMs: 1500 });
    expect(world.children.sort()).toEqual(five.sort());
    for (const pod of [aPod(model), aPod(model).scheduled(), aPod(model).loaded(), aPod(model).ready()]) {
      world.has(pod.build());
      await world.reconcile();
    }
    expect(world.condition('Ready')).toEqual({
      status: 'True',
      reason: 'Serving',
      message: '1 of 1 replicas are ready',
    });
    expect(world.events).toEqual([expect.objectContaining({ type: 'Normal', reason: 'Serving' })]);
    expect(world.writes + world.events.length).toBeLessThanOrEqual(8);
    await expectRest(world);
  });

  it('has two writes of status when its pods come late and find no node', async () => {
    const model = aModel().build();
    const world = new World(model);
    world.now = Date.parse('2026-01-01T00:00:00.500Z');
    await world.reconcile();
    world.now += 5000;
    await world.reconcile();
    expect(world.condition('Ready')).toMatchObject({ status: 'False', reason: 'Progressing' });
    world.now = Date.parse('2026-01-01T00:00:11Z');
    world.has(aPod(model).build());
    expect(await world.reconcile()).toEqual({ afterMs: 9000 });
    world.has(aPod(model).unschedulable().build());
    await world.reconcile();
    expect(world.condition('Ready')).toMatchObject({ status: 'False', reason: 'Unschedulable' });
    expect(world.writes + world.events.length).toBe(5 + 2);
    await expectRest(world);
  });

  it('tells what it waits for when its pods do not come', async () => {
    const world = new World(aModel().build());
    await world.reconcile();
    expect(world.condition('Ready')).toMatchObject({ status: 'False', reason: 'Progressing' });
    expect(world.condition('Reconciling')).toMatchObject({ status: 'True' });
    await expectRest(world);
  });
});

describe('the status of a model that serves', () => {
  it('has what others read: counts, selector, address and weights', async () => {
    const world = await serving(aModel());
    expect(world.status).toMatchObject({
      observedGeneration: 1,
      replicas: 1,
      readyReplicas: 1,
      selector: 'cadre.dev/model=ticket-triage',
      endpoint: 'http://ticket-triage.support.svc:8000',
      model: { digest: `sha256:${'a'.repeat(64)}`, bytes: 98_362_432, loadSeconds: 12 },
    });
    expect(world.status?.conditions?.map(({ type }) => type)).toEqual(['Accepted', 'Ready']);
  });

  it('keeps the seconds of loading when a replica loses its readiness and has it again', async () => {
    const world = await serving(aModel());
    const model = aModel().build();
    world.has(aPod(model).lost().build());
    await world.reconcile();
    world.has(aPod(model).ready('2026-01-01T00:09:00Z').build());
    await world.reconcile();
    expect(world.status?.model?.loadSeconds).toBe(12);
  });

  it('keeps the time of a condition while its status stays', async () => {
    const world = await serving(aModel());
    const since = world.status?.conditions?.find(({ type }) => type === 'Ready')?.lastTransitionTime;
    world.now += 60_000;
    world.change(aModel().withReplicas(3).build());
    await world.reconcile();
    expect(world.status?.conditions?.find(({ type }) => type === 'Ready')).toMatchObject({
      lastTransitionTime: since,
      observedGeneration: 2,
      message: '1 of 3 replicas are ready',
    });
  });
});

describe('a model with an adapter and a prompt template', () => {
  const builder = aModel().withWeights('pvc://models/base.gguf', {
    adapter: { uri: 'pvc://models/triage.gguf' },
    promptTemplate: { configMap: { name: 'prompts', key: 'triage' } },
  });
  const at = 'support/prompts/triage';
  const one = { text: 'Message: {{ messages[-1].content }}', digest: 'sha256:one' };
  const two = { text: 'Order: {{ messages[-1].content }}', digest: 'sha256:two' };
  const model = builder.build();
  const reported = { digest: 'sha256:base', adapterDigest: 'sha256:adapter', bytes: 1, seconds: 1 };
  const servingPod = (name: string, template = one) => aPod(model, name, template).ready(undefined, reported).build();

  async function servingWithTemplate(): Promise<World> {
    const world = new World(model);
    world.templates.set(at, { state: 'Present', template: one });
    world.has(servingPod('old'));
    await world.reconcile();
    return world;
  }

  it('names in its status what runs', async () => {
    const world = await servingWithTemplate();
    expect(world.status?.model).toMatchObject({
      digest: 'sha256:base',
      adapterDigest: 'sha256:adapter',
      promptTemplateDigest: 'sha256:one',
    });
  });

  it('rolls out when the text of the template changes, and names the new one once it serves', async () => {
    const world = await servingWithTemplate();
    world.templates.set(at, { state: 'Present', template: two });
    await world.reconcile();
    expect(world.condition('Ready')).toMatchObject({ status: 'True' });
    expect(world.condition('Reconciling')).toMatchObject({ status: 'True', reason: 'RollingOut' });
    expect(world.status?.model?.promptTemplateDigest).toBe('sha256:one');
    world.has(servingPod('new', two));
    await world.reconcile();
    expect(world.status?.model?.promptTemplateDigest).toBe('sha256:two');
    expect(world.condition('Reconciling')).toBeUndefined();
    await expectRest(world);
  });

  it('goes on serving with the old text while its ConfigMap is gone', async () => {
    const world = await servingWithTemplate();
    const deployment = [...world.caches.deployments.list()];
    world.templates.set(at, { state: 'Missing', what: 'ConfigMap' });
    await world.reconcile();
    expect(world.condition('Accepted')).toMatchObject({ status: 'False', reason: 'PromptTemplateNotFound' });
    expect(world.condition('Ready')).toMatchObject({ status: 'True' });
    expect(world.status?.model?.promptTemplateDigest).toBe('sha256:one');
    expect([...world.caches.deployments.list()]).toEqual(deployment);
  });

  it('is not made before its template is there', async () => {
    const world = new World(model);
    await world.reconcile();
    expect(world.children).toEqual([]);
    expect(world.condition('Ready')).toMatchObject({ status: 'False', reason: 'PromptTemplateNotFound' });
  });
});

describe('a rolling update', () => {
  it('keeps Ready while the old pods serve, and says that it reconciles', async () => {
    const old = aPod(aModel().build(), 'old').ready().outdated().build();
    const world = await serving(aModel(), old);
    const model = aModel()
      .withEngine('LlamaCpp', { args: ['--temp', '0'] })
      .build();
    world.change(model);
    world.has(old, aPod(model, 'new').loaded().build());
    await world.reconcile();
    expect(world.condition('Ready')).toMatchObject({ status: 'True' });
    expect(world.condition('Reconciling')).toMatchObject({ status: 'True', reason: 'RollingOut' });
    world.has(aPod(model, 'new').ready().build());
    await world.reconcile();
    expect(world.condition('Reconciling')).toBeUndefined();
    await expectRest(world);
  });

  it('that finds no room is blocked, and says how to get it through', async () => {
    const old = aPod(aModel().build(), 'old').ready().outdated().build();
    const world = await serving(aModel(), old);
    world.has(old, aPod(aModel().build(), 'new').unschedulable().build());
    await world.reconcile();
    expect(world.condition('Ready')).toMatchObject({ status: 'True' });
    expect(world.condition('Reconciling')).toMatchObject({
      reason: 'UpdateBlocked',
      message: expect.stringMatching(/3 Insufficient cpu.*maxSurge: 0, maxUnavailable: 1/),
    });
  });

  it('to something that crashes is stalled, while the old pods serve', async () => {
    const old = aPod(aModel().build(), 'old').ready().outdated().build();
    const world = await serving(aModel(), old);
    world.has(old, aPod(aModel().build(), 'new').crashed('engine', { exitCode: 1, message: 'error: no' }).build());
    await world.reconcile();
    expect(world.condition('Ready')).toMatchObject({ status: 'True' });
    expect(world.condition('Stalled')).toMatchObject({ status: 'True', reason: 'CrashLooping' });
    expect(world.condition('Reconciling')).toBeUndefined();
    expect(world.events).toEqual([expect.objectContaining({ type: 'Warning', reason: 'CrashLooping' })]);
  });

  it('that corrects one which crashes is not blamed for it, unless nothing may be changed', async () => {
    const old = aPod(aModel().build(), 'old').ready().outdated();
    const bad = aPod(aModel().build(), 'bad').crashed('engine', { exitCode: 1, message: 'error: no' });
    const world = await serving(aModel(), old.build());
    world.has(old.build(), bad.build());
    await world.reconcile();
    expect(world.condition('Stalled')).toMatchObject({ reason: 'CrashLooping' });
    const corrected = aModel().withEngine('LlamaCpp', { args: ['--temp', '0'] });
    world.change(corrected.build());
    world.has(old.build(), bad.outdated().build());
    await world.reconcile();
    expect(world.condition('Stalled')).toBeUndefined();
    expect(world.condition('Reconciling')).toMatchObject({ status: 'True', reason: 'RollingOut' });
    world.change(corrected.paused().build());
    await world.reconcile();
    expect(world.condition('Stalled')).toMatchObject({ reason: 'CrashLooping' });
  });
});

describe('scaling', () => {
  it('to zero leaves nothing to be missed', async () => {
    const world = await serving(aModel());
    world.change(aModel().withReplicas(0).build());
    await world.reconcile();
    expect(world.condition('Ready')).toMatchObject({ status: 'True', reason: 'ScaledToZero' });
    expect(world.condition('Reconciling')).toMatchObject({ reason: 'ScalingDown' });
    world.has();
    await world.reconcile();
    expect(world.status).toMatchObject({ replicas: 0, readyReplicas: 0 });
    expect(world.condition('Reconciling')).toBeUndefined();
    await expectRest(world);
  });

  it('up keeps Ready, as one replica answers', async () => {
    const world = await serving(aModel());
    const model = aModel().withReplicas(2).build();
    world.change(model);
    world.has(aPod(model, 'a').ready().build(), aPod(model, 'b').loaded().build());
    await world.reconcile();
    expect(world.condition('Ready')).toMatchObject({ status: 'True' });
    expect(world.condition('Reconciling')).toMatchObject({ reason: 'Loading' });
  });

  it('by somebody who scales the Deployment is undone', async () => {
    const world = await serving(aModel());
    const scaled = structuredClone(world.caches.deployments.get(world.key) as Deployment);
    scaled.metadata.resourceVersion = 'scaled';
    if (scaled.spec) scaled.spec.replicas = 9;
    world.caches.deployments.set(scaled);
    await world.reconcile();
    expect(world.caches.deployments.get(world.key)?.spec?.replicas).toBe(1);
  });
});

describe('several pods with different problems', () => {
  it('show the worst, always the same one', async () => {
    const model = aModel().withReplicas(3).build();
    const pods = [
      aPod(model, 'a').unschedulable().build(),
      aPod(model, 'b').crashed('engine', { exitCode: 137, reason: 'OOMKilled' }).build(),
      aPod(model, 'c').lost().build(),
    ];
    const world = new World(model);
    world.has(...pods);
    await world.reconcile();
    expect(world.condition('Ready')).toMatchObject({ reason: 'OutOfMemory' });
    world.has(...pods.toReversed());
    await expectRest(world);
  });

  it('are not counted when they are evicted or on their way out', async () => {
    const model = aModel().build();
    const world = await serving(
      aModel(),
      aPod(model, 'a').ready().build(),
      aPod(model, 'b').evicted().build(),
      aPod(model, 'c').ready().withMetadata({ deletionTimestamp: '2026-01-01T00:01:00Z' }).build(),
    );
    expect(world.status).toMatchObject({ replicas: 1, readyReplicas: 1 });
  });
});

describe('a model with GPUs that no node has', () => {
  it('says what each replica needs and what the largest node has', async () => {
    const model = aModel().withGpu('nvidia-l4', 4).build();
    const world = new World(model);
    world.hasNode('small', {
      metadata: { name: 'small', uid: '1', labels: { 'nvidia.com/gpu.product': 'NVIDIA-L4' } },
      status: { allocatable: { 'nvidia.com/gpu': '2' } },
    });
    world.has(aPod(model).unschedulable('0/1 nodes are available: 1 Insufficient nvidia.com/gpu.').build());
    await world.reconcile();
    expect(world.condition('Ready')?.message).toBe(
      'no node takes the pod: 0/1 nodes are available: 1 Insufficient nvidia.com/gpu.; each replica needs 4 nvidia.com/gpu on one node with nvidia.com/gpu.product=NVIDIA-L4 (profile nvidia-l4): the largest such node has 2',
    );
  });
});

describe('pods that the API server refuses', () => {
  it.each([
    ['QuotaExceeded', 'pods "x-1" is forbidden: exceeded quota: small, requested: cpu=2, used: cpu=1, limited: cpu=1'],
    ['PodsRefused', 'pods "x-1" is forbidden: violates PodSecurity "restricted:latest": hostPath'],
  ])('%s', async (reason, message) => {
    const world = new World(aModel().build());
    await world.reconcile();
    const deployment = world.caches.deployments.get(world.key) as Deployment;
    const conditions = [{ type: 'ReplicaFailure', status: 'True', reason: 'FailedCreate', message }];
    const metadata = { ...deployment.metadata, generation: 1, resourceVersion: 'later' };
    world.caches.deployments.set({ ...deployment, metadata, status: { observedGeneration: 1, conditions } });
    await world.reconcile();
    expect(world.condition('Stalled')).toMatchObject({ reason });
    expect(world.condition('Stalled')?.message).not.toContain('x-1');
  });
});

describe('a refused spec', () => {
  const bad = aModel().withEngine('LlamaCpp', { args: ['--port', '1'] });

  it('makes nothing', async () => {
    const world = new World(bad.build());
    await world.reconcile();
    expect(world.children).toEqual([]);
    expect(world.condition('Accepted')).toMatchObject({ status: 'False', reason: 'InvalidArgs' });
    expect(world.condition('Ready')).toMatchObject({ status: 'False', reason: 'InvalidArgs' });
    expect(world.condition('Stalled')).toMatchObject({ status: 'True', reason: 'InvalidArgs' });
    expect(world.events).toHaveLength(1);
    await expectRest(world);
  });

  it('leaves what runs as it is, and what runs stays ready', async () => {
    const world = await serving(aModel());
    const before = world.caches.deployments.get(world.key);
    world.change(bad.build());
    await world.reconcile();
    expect(world.caches.deployments.get(world.key)).toBe(before);
    expect(world.condition('Accepted')).toMatchObject({ status: 'False' });
    expect(world.condition('Ready')).toMatchObject({ status: 'True' });
    expect(world.status?.observedGeneration).toBe(2);
  });

  it('recovers when the Secret that it lacks appears', async () => {
    const model = aModel().withWeights('hf://acme/a/a.gguf', {
      revision: 'a'.repeat(40),
      credentials: { name: 's', key: 'token' },
    });
    const world = new World(model.build());
    await world.reconcile();
    expect(world.condition('Accepted')).toMatchObject({ status: 'False', reason: 'SecretNotFound' });
    const secret = { apiVersion: 'v1', kind: 'Secret', metadata: { name: 's' }, data: { token: 'eA==' } };
    world.secrets.set('support/s', { state: 'Present', secret });
    await world.reconcile();
    expect(world.condition('Accepted')).toMatchObject({ status: 'True' });
    expect(world.children).toHaveLength(5);
  });
});

describe('an object of somebody else with the name of a child', () => {
  it.each(['Deployment', 'Service'])('is left alone, and nothing is made by half: %s', async (kind) => {
    const world = new World(aModel().build());
    const theirs = { apiVersion: 'v1', kind, metadata: { name: 'ticket-triage', namespace: 'support', uid: 'theirs' } };
    world.foreign.set(`${kind} ${world.key}`, theirs);
    expect(await world.reconcile()).toEqual({ afterMs: 30_000 });
    expect(world.condition('Ready')).toMatchObject({ status: 'False', reason: 'ChildNameTaken' });
    expect(world.condition('Stalled')?.message).toContain(`${kind} ticket-triage`);
    expect(world.children).toEqual([]);

    const { writes } = world;
    expect(await world.reconcile()).toEqual({ afterMs: 30_000 });
    expect(world.writes).toBe(writes);

    world.foreign.clear();
    await world.reconcile();
    expect(world.children).toHaveLength(5);
    expect(world.condition('Stalled')).toBeUndefined();
  });

  it('does not take down what the model has already', async () => {
    const world = await serving(aModel());
    const service = world.caches.services.get(world.key);
    if (!service) throw new Error('no Service');
    world.caches.services.delete(service);
    world.foreign.set(`Service ${world.key}`, service);
    await world.reconcile();
    expect(world.children).toHaveLength(4);
    expect(world.condition('Stalled')).toMatchObject({ reason: 'ChildNameTaken' });
  });
});

describe('an object that the API server refuses', () => {
  it('is told in its words, and tried again after a minute', async () => {
    const world = new World(aModel().build());
    world.refusals.set('Deployment', new KubeError('Invalid', 'apply deployments support/ticket-triage: spec is bad'));
    expect(await world.reconcile()).toEqual({ afterMs: 60_000 });
    expect(world.condition('Stalled')).toMatchObject({
      reason: 'ChildRefused',
      message: expect.stringContaining('spec is bad'),
    });
  });

  it('for a moment is left to the queue', async () => {
    const world = new World(aModel().build());
    world.refusals.set('Deployment', new KubeError('ServiceUnavailable', 'apply deployments: not now'));
    await expect(world.reconcile()).rejects.toThrow('not now');
    expect(world.status).toBeUndefined();
  });
});

describe('a paused model', () => {
  it('is not changed, and says so', async () => {
    const world = await serving(aModel());
    world.change(aModel().withReplicas(5).paused().build());
    await world.reconcile();
    expect(world.caches.deployments.get(world.key)?.spec?.replicas).toBe(1);
    expect(world.condition('Paused')).toMatchObject({ status: 'True' });
    expect(world.condition('Ready')).toMatchObject({ status: 'True' });
    expect(world.condition('Reconciling')).toMatchObject({ reason: 'Paused' });
    await expectRest(world);
    world.change(aModel().withReplicas(5).build());
    await world.reconcile();
    expect(world.caches.deployments.get(world.key)?.spec?.replicas).toBe(5);
    expect(world.condition('Paused')).toBeUndefined();
  });

  it('from its beginning has made nothing', async () => {
    const world = new World(aModel().paused().build());
    await world.reconcile();
    expect(world.children).toEqual([]);
    expect(world.condition('Ready')).toMatchObject({ status: 'False', reason: 'Paused' });
  });
});

describe('a model that goes', () => {
  it('is left to garbage collection', async () => {
    const world = new World(aModel().withMetadata({ deletionTimestamp: '2026-01-01T00:00:00Z' }).build());
    expect(await world.reconcile()).toBe('never');
    expect(world.writes).toBe(0);
  });

  it('and comes again at once waits for the children of its predecessor to go', async () => {
    const world = await serving(aModel());
    world.caches.models.set(aModel().withMetadata({ uid: 'another', resourceVersion: '999' }).build());
    await world.reconcile();
    expect(world.children).toEqual([]);
    await world.reconcile();
    expect(world.children).toHaveLength(5);
    expect(world.caches.services.get(world.key)?.metadata.ownerReferences?.[0]?.uid).toBe('another');
  });
});
