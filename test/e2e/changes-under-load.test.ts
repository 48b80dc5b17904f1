import { beforeAll, describe, expect, it } from 'vitest';
import { resources } from '../../kube/resources.ts';
import { eventually } from '../support/eventually.ts';
import { startTraffic } from '../support/traffic.ts';
import { applyModel, applyPolicy, cadreNamespace, condition, smollm2, useWorld } from '../support/world.ts';

/** Requests a second; two slow cores carry no more of a language model. */
const rate = 2;

describe('traffic while things change', () => {
  const world = useWorld('changes');
  const traffic = () =>
    startTraffic({ url: world.routerUrl, key: world.key, model: 'chat', requestsPerSecond: rate, maxTokens: 24 });

  beforeAll(async () => {
    await applyModel(world, 'specialist', smollm2(1));
    await applyPolicy(world, 'chat', {
      backends: [{ name: 'specialist', modelRef: { name: 'specialist' } }],
      split: [{ backend: 'specialist', weight: 1 }],
    });
    await condition(world, 'policies', 'chat', { type: 'Ready', status: 'True' });
  });

  const settled = (readyReplicas: number) =>
    eventually(
      `${readyReplicas} pods, ready, and no other`,
      async () => {
        const { items } = await world.kube.list(
          resources.pods,
          { namespace: world.namespace, labelSelector: 'cadre.dev/model=specialist' },
          { limit: 0 },
        );
        const model = await world.kube.get(
          { apiVersion: 'cadre.dev/v1alpha1', kind: 'SpecializedModel', plural: 'specializedmodels', namespaced: true },
          'specialist',
          world.namespace,
        );
        const { status } = model as unknown as { status: { readyReplicas: number } };
        expect([items.length, status.readyReplicas]).toEqual([readyReplicas, readyReplicas]);
      },
      240_000,
    );

  it('loses nothing in a rolling update', async () => {
    const clients = traffic();
    await eventually('the first answers', () => expect(Object.keys(clients.report.servedBy)).toHaveLength(1));
    await applyModel(world, 'specialist', smollm2(1, { args: ['--threads-batch', '1'] }));
    await condition(world, 'models', 'specialist', { type: 'Ready', status: 'True' });
    await settled(1);
    const report = await clients.stop();
    expect(report.failures).toEqual([]);
    expect(report.streamed).toBeGreaterThan(0);
  });

  it('loses nothing when a model shrinks from three replicas to one', async () => {
    await applyModel(world, 'specialist', smollm2(3, { args: ['--threads-batch', '1'] }));
    await settled(3);
    const clients = traffic();
    await eventually('the first answers', () => expect(Object.keys(clients.report.servedBy)).toHaveLength(1));
    await applyModel(world, 'specialist', smollm2(1, { args: ['--threads-batch', '1'] }));
    await settled(1);
    const report = await clients.stop();
    expect(report.failures).toEqual([]);
  });

  it('loses nothing while the routers are replaced', async () => {
    const clients = traffic();
    await eventually('the first answers', () => expect(Object.keys(clients.report.servedBy)).toHaveLength(1));
    await world.cluster.kubectl(['rollout', 'restart', 'deployment/cadre-router', '--namespace', cadreNamespace]);
    await world.cluster.kubectl([
      'rollout',
      'status',
      'deployment/cadre-router',
      '--namespace',
      cadreNamespace,
      '--timeout=240s',
    ]);
    const report = await clients.stop();
    expect(report.failures).toEqual([]);
  });
});
