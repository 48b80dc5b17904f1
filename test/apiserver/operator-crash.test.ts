import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { describe, expect, it } from 'vitest';
import { resources } from '../../kube/resources.ts';
import type { KubeObject } from '../../kube/types.ts';
import { customResources } from '../../operator/custom-resources.ts';
import { eventually } from '../../process/testing/waiting.ts';
import { isLong, measured } from '../support/measured.ts';
import { useOperators } from '../support/operator.ts';

const rounds = isLong ? 20 : 3;
const restMs = isLong ? 60_000 : 10_000;
const names = Array.from({ length: 20 }, (_, index) => `model-${index}`);
const childKinds = ['deployments', 'services', 'serviceAccounts', 'podDisruptionBudgets', 'networkPolicies'] as const;

interface Model extends KubeObject {
  status?: { observedGeneration?: number; replicas?: number; conditions?: { type: string; status: string }[] };
}
interface Deployment extends KubeObject {
  spec: { replicas: number };
}

describe('an operator that is killed at any moment', () => {
  const world = useOperators('fleet');
  const { namespace } = world;

  /** What users do in a round, all models at once: create, change, delete. */
  const steps = ['create', 'change', 'delete'] as const;
  const replicasAfter = { create: 1, change: 2, delete: 0 };

  async function act(step: (typeof steps)[number], name: string): Promise<void> {
    if (step === 'delete') return world.kube.delete(customResources.models, name, namespace);
    const { apiVersion, kind } = customResources.models;
    const spec = {
      task: 'Classification',
      model: { uri: 'pvc://models/model.gguf' },
      engine: { type: 'LlamaCpp' },
      replicas: replicasAfter[step],
    };
    await world.kube.apply(
      customResources.models,
      { apiVersion, kind, metadata: { name, namespace }, spec } as KubeObject,
      { fieldManager: 'user' },
    );
  }

  const list = async <T extends KubeObject>(kind: keyof typeof resources): Promise<T[]> =>
    (await world.kube.list<T>(resources[kind], { namespace, labelSelector: 'cadre.dev/model' }, { limit: 0 })).items;

  /** Throws unless the world is what the last step asked for: no child is missing, wrong or an orphan. */
  async function isAsAsked(step: (typeof steps)[number]): Promise<void> {
    const expected = step === 'delete' ? [] : [...names].sort();
    for (const kind of childKinds) {
      const found = (await list(kind)).map(({ metadata }) => metadata.name).sort();
      expect([kind, found]).toEqual([kind, expected]);
    }
    const replicas = new Set((await list<Deployment>('deployments')).map(({ spec }) => spec.replicas));
    expect([...replicas]).toEqual(step === 'delete' ? [] : [replicasAfter[step]]);
    const models = (await world.kube.list<Model>(customResources.models, { namespace }, { limit: 0 })).items;
    expect(models).toHaveLength(expected.length);
    for (const { metadata, status } of models) {
      expect(status?.observedGeneration).toBe(metadata.generation);
      expect(status?.replicas).toBe(replicasAfter[step]);
      expect(status?.conditions).toContainEqual(expect.objectContaining({ type: 'Accepted', status: 'True' }));
    }
  }

  const orphans = async (): Promise<KubeObject[]> =>
    (await Promise.all(childKinds.map((kind) => list(kind))))
      .flat()
      .filter(({ metadata }) => !names.includes(metadata.name));

  /** Everything that an operator may write, Leases apart, without what tells who wrote it. */
  async function written(): Promise<Record<string, KubeObject>> {
    const models = (await world.kube.list(customResources.models, { namespace }, { limit: 0 })).items;
    const children = await Promise.all(childKinds.map((kind) => list(kind)));
    const secrets = await world.kube.list(resources.secrets, { namespace: world.systemNamespace }, { limit: 0 });
    const all = [...models, ...children.flat(), ...secrets.items];
    for (const { metadata } of all) delete (metadata as { managedFields?: unknown }).managedFields;
    return Object.fromEntries(all.map((object) => [`${object.kind} ${object.metadata.name}`, object]));
  }

  it('is followed by one that ends in the same state, and then writes nothing', {
    timeout: (rounds + 2) * 120_000,
  }, async () => {
    let operator = await world.start();
    await operator.leads();
    for (let round = 0; round < rounds; round++) {
      const step = steps[round % steps.length] as (typeof steps)[number];
      const acting = Promise.all(names.map((name) => act(step, name)));
      await sleep(Math.random() * 1_500);
      await operator.end('SIGKILL');
      await acting;
      operator = await world.start();
      await operator.leads();
      await eventually(`the state after round ${round + 1}, ${step}`, () => isAsAsked(step), 90_000);
    }

    await Promise.all(names.map((name) => act('create', name)));
    await eventually('the last state', () => isAsAsked('create'), 90_000);
    let settled = await written();
    await eventually('the world to rest', async () => {
      const before = settled;
      await sleep(3_000);
      settled = await written();
      expect(settled).toEqual(before);
    });
    await sleep(restMs);
    const after = await written();
    const changed = Object.keys(after).filter((key) => !isDeepStrictEqual(after[key], settled[key]));
    await measured(
      'operator-killed',
      `An operator is killed (SIGKILL) ${rounds} times while 20 models are created, changed and deleted`,
      {
        rounds,
        models: names.length,
        'orphaned children': (await orphans()).length,
        [`objects written in ${restMs / 1000} s of rest`]: changed.length,
      },
    );
    expect(after).toEqual(settled);
    await operator.end('SIGTERM');
  });
});
