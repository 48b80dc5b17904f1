import { describe, expect, it } from 'vitest';
import type { SpecializedModel } from '../crds/v1alpha1/kinds.ts';
import { ObjectStore } from '../kube/store.ts';
import type { Deployment, Node, Secret } from './context.ts';
import { aModel, aPolicy } from './controllers/routing-policy/testing/builders.ts';
import {
  isStatusOnly,
  modelsOfChild,
  modelsOfDeployment,
  modelsOfNode,
  policiesOfModel,
  policiesOfPolicy,
  policiesOfRoute,
  policyIndexes,
} from './event-mapping.ts';

const metadata = { name: 'm', namespace: 'n', uid: 'u', generation: 2, labels: { 'cadre.dev/model': 'm' } };
const key = 'n/m';

describe('a change of a child', () => {
  it('concerns the model that its label names', () => {
    const child = { apiVersion: 'v1', kind: 'Service', metadata };
    expect(modelsOfChild({ key, after: child })).toEqual(['n/m']);
    expect(modelsOfChild({ key, before: child })).toEqual(['n/m']);
  });

  it('concerns both models when the label was changed', () => {
    const other = { ...metadata, labels: { 'cadre.dev/model': 'other' } };
    const change = {
      key,
      before: { apiVersion: 'v1', kind: 'Service', metadata },
      after: { apiVersion: 'v1', kind: 'Service', metadata: other },
    };
    expect(modelsOfChild(change)).toEqual(['n/m', 'n/other']);
  });

  it('is about its status only while nothing else changed', () => {
    const after = { metadata: { ...metadata, resourceVersion: '9' } };
    expect(isStatusOnly({ before: { metadata }, after })).toBe(true);
    expect(isStatusOnly({ before: { metadata }, after: { metadata: { ...metadata, generation: 3 } } })).toBe(false);
    expect(isStatusOnly({ before: { metadata }, after: { metadata: { ...metadata, labels: {} } } })).toBe(false);
    expect(isStatusOnly({ before: { metadata }, after: { metadata: { ...metadata, deletionTimestamp: 't' } } })).toBe(
      false,
    );
    expect(isStatusOnly({ after: { metadata } })).toBe(false);
  });
});

describe('a change of a Deployment', () => {
  const deployment = (status: object, generation = 2) =>
    ({
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { ...metadata, generation },
      status,
    }) as unknown as Deployment;
  const seen = { observedGeneration: 2, conditions: [] };

  it('concerns nobody while it only counts', () => {
    const after = deployment({
      ...seen,
      conditions: [{ type: 'Progressing', status: 'True', reason: 'ReplicaSetUpdated' }],
    });
    expect(modelsOfDeployment({ key, before: deployment(seen), after })).toEqual([]);
  });

  it.each([
    { type: 'ReplicaFailure', status: 'True', reason: 'FailedCreate', message: 'quota' },
    { type: 'Progressing', status: 'False', reason: 'ProgressDeadlineExceeded', message: 'stuck' },
  ])('concerns its model when $reason comes or goes', (condition) => {
    const failed = deployment({ ...seen, conditions: [condition] });
    expect(modelsOfDeployment({ key, before: deployment(seen), after: failed })).toEqual(['n/m']);
    expect(modelsOfDeployment({ key, before: failed, after: deployment(seen) })).toEqual(['n/m']);
  });

  it('concerns its model when somebody changed it', () => {
    expect(modelsOfDeployment({ key, before: deployment(seen), after: deployment(seen, 3) })).toEqual(['n/m']);
    expect(modelsOfDeployment({ key, before: deployment(seen) })).toEqual(['n/m']);
  });
});

describe('a change of a node', () => {
  const models = new ObjectStore<SpecializedModel & { metadata: { name: string } }>();
  models.set(aModel('ready'));
  models.set(aModel('waiting', { status: 'False', reason: 'Unschedulable' }));
  const node = (status: object, labels = {}) =>
    ({ apiVersion: 'v1', kind: 'Node', metadata: { name: 'node', labels }, spec: {}, status }) as unknown as Node;
  const before = node({ allocatable: { cpu: '4' } });

  it('concerns models that are not ready when it offers something else', () => {
    for (const after of [node({ allocatable: { cpu: '8' } }), node({ allocatable: { cpu: '4' } }, { gpu: 'l4' })]) {
      expect(modelsOfNode({ key: 'node', before, after }, { models })).toEqual(['support/waiting']);
    }
    expect(modelsOfNode({ key: 'node', after: before }, { models })).toEqual(['support/waiting']);
  });

  it('concerns nobody when it only shows that it lives', () => {
    expect(modelsOfNode({ key: 'node', before, after: structuredClone(before) }, { models })).toEqual([]);
  });
});

describe('policies', () => {
  const policies = new ObjectStore(policyIndexes);
  const first = aPolicy({ name: 'first', spec: { model: 'triage' } });
  policies.set(first);
  policies.set(aPolicy({ name: 'second', spec: { model: 'triage' } }));
  policies.set(aPolicy({ name: 'third' }));

  it('are concerned when a model that they name comes, goes or turns', () => {
    const ready = aModel('classifier');
    const loading = aModel('classifier', { status: 'False', reason: 'Loading' });
    const all = ['support/first', 'support/second', 'support/third'];
    const named = { key: 'support/classifier' };
    expect(policiesOfModel({ ...named, after: ready }, { policies })).toEqual(all);
    expect(policiesOfModel({ ...named, before: ready }, { policies })).toEqual(all);
    expect(policiesOfModel({ ...named, before: loading, after: ready }, { policies })).toEqual(all);
    expect(policiesOfModel({ ...named, before: ready, after: structuredClone(ready) }, { policies })).toEqual([]);
    expect(policiesOfModel({ key: 'support/other', after: aModel('other') }, { policies })).toEqual([]);
  });

  it('are concerned when one of the same name claims or frees it', () => {
    const change = { key: 'support/first', before: first };
    expect(policiesOfPolicy(change, { policies })).toEqual(['support/first', 'support/second']);
    const renamed = aPolicy({ name: 'first', spec: { model: 'third' } });
    renamed.metadata.generation = 4;
    expect(policiesOfPolicy({ ...change, after: renamed }, { policies })).toEqual([
      'support/first',
      'support/second',
      'support/third',
    ]);
  });

  it('are alone when only their status or annotations changed', () => {
    const after = structuredClone(first);
    expect(policiesOfPolicy({ key: 'support/first', before: first, after }, { policies })).toEqual(['support/first']);
  });

  it('are found by their route', () => {
    const annotations = { 'cadre.dev/policy': 'support/first' };
    const secret = { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'route-1', annotations } } as Secret;
    expect(policiesOfRoute({ key: 'cadre-system/route-1', before: secret })).toEqual(['support/first']);
  });
});
