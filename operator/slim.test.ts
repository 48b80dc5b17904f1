import { describe, expect, it } from 'vitest';
import type { Deployment, Node, Pod, Service } from './context.ts';
import { aModel, aPolicy } from './controllers/routing-policy/testing/builders.ts';
import { slimChild, slimDeployment, slimNode, slimOwn, slimPod } from './slim.ts';

const metadata = { name: 'm', namespace: 'n', uid: 'u', resourceVersion: '7', labels: { 'cadre.dev/model': 'm' } };

describe('what stays in memory', () => {
  it('of a child is all but its status', () => {
    const spec = { ports: [{ name: 'http', port: 8000 }] };
    const service = { apiVersion: 'v1', kind: 'Service', metadata, spec, status: { loadBalancer: {} } } as Service;
    expect(slimChild(service, undefined)).toEqual({ apiVersion: 'v1', kind: 'Service', metadata, spec });
  });

  it('of a Deployment is its spec and what its conditions say', () => {
    const condition = { type: 'Progressing', status: 'True', reason: 'NewReplicaSetAvailable', message: 'well' };
    const status = { observedGeneration: 2, replicas: 3, conditions: [{ ...condition, lastUpdateTime: 't' }] };
    const deployment = { apiVersion: 'apps/v1', kind: 'Deployment', metadata, spec: { replicas: 3 }, status };
    expect(slimDeployment(deployment as unknown as Deployment, undefined)).toEqual({
      ...deployment,
      status: { observedGeneration: 2, conditions: [condition] },
    });
  });

  it('of a pod is what its state and its limits say', () => {
    const container = { name: 'engine', image: 'i', args: ['--x'], resources: { limits: { cpu: '1' }, requests: {} } };
    const status = { phase: 'Running', podIP: '10.0.0.1', containerStatuses: [{ name: 'engine', ready: true }] };
    const spec = { nodeName: 'node', containers: [container], volumes: [{ name: 'v' }] };
    const pod = { apiVersion: 'v1', kind: 'Pod', metadata, spec, status } as unknown as Pod;
    expect(slimPod(pod, undefined)).toEqual({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata,
      spec: { nodeName: 'node', containers: [{ name: 'engine', image: 'i', resources: { limits: { cpu: '1' } } }] },
      status: { phase: 'Running', containerStatuses: [{ name: 'engine', ready: true }] },
    });
  });

  it('of a node is what pods need of it', () => {
    const ready = { type: 'Ready', status: 'True' };
    const status = {
      allocatable: { cpu: '4' },
      images: [{ names: ['a'] }],
      conditions: [ready, { type: 'DiskPressure' }],
    };
    const node = { apiVersion: 'v1', kind: 'Node', metadata, spec: { podCIDR: 'x' }, status } as unknown as Node;
    expect(slimNode(node, undefined)).toEqual({
      apiVersion: 'v1',
      kind: 'Node',
      metadata,
      spec: {},
      status: { allocatable: { cpu: '4' }, conditions: [ready] },
    });
  });

  it('of annotations is all but kubectl’s copy of the object', () => {
    const policy = aPolicy();
    const annotations = { 'kubectl.kubernetes.io/last-applied-configuration': '{}', 'cadre.dev/paused': 'true' };
    const seen = slimOwn({ ...policy, metadata: { ...policy.metadata, annotations } }, undefined);
    expect(seen.metadata.annotations).toEqual({ 'cadre.dev/paused': 'true' });
    expect(annotations).toHaveProperty(['kubectl.kubernetes.io/last-applied-configuration']);
  });
});

describe('the spec of an object of ours', () => {
  const before = aModel('classifier');

  it('is the very same object while its generation is', () => {
    const after = structuredClone(before);
    expect(slimOwn(after, before).spec).toBe(before.spec);
    expect(slimOwn(structuredClone(before), before)).toEqual(before);
  });

  it('is new with a new generation or another object of its name', () => {
    const changed = structuredClone(before);
    changed.metadata.generation++;
    changed.spec.replicas = 9;
    expect(slimOwn(changed, before).spec.replicas).toBe(9);
    const another = structuredClone(before);
    another.metadata.uid = 'other';
    another.spec.replicas = 8;
    expect(slimOwn(another, before).spec.replicas).toBe(8);
  });
});
