import type { RoutingPolicy, SpecializedModel } from '../../../../crds/v1alpha1/kinds.ts';
import type { RoutingPolicySpec } from '../../../../crds/v1alpha1/routing-policy.ts';
import type { Secret, SecretView } from '../../../context.ts';

/** A client key that is long enough. */
export const strongKey = 'k'.repeat(40);

/** A policy of namespace `support` with one key and a specialist; `over` replaces parts of it. */
export function aPolicy(
  over: { name?: string; namespace?: string; uid?: string; created?: string; spec?: Partial<RoutingPolicySpec> } = {},
): RoutingPolicy {
  const { name = 'triage', namespace = 'support', uid = `uid-${name}`, created = '2026-01-01T00:00:00Z' } = over;
  return {
    apiVersion: 'cadre.dev/v1alpha1',
    kind: 'RoutingPolicy',
    metadata: { name, namespace, uid, generation: 3, resourceVersion: '1', creationTimestamp: created },
    spec: {
      access: { keys: [{ name: 'web', secretRef: { name: 'web-key', key: 'token' } }] },
      backends: [{ name: 'specialist', modelRef: { name: 'classifier' } }],
      split: [{ backend: 'specialist', weight: 100 }],
      timeouts: { firstByte: '10s', idle: '20s', total: '1m' },
      ...over.spec,
    },
  };
}

/** A model of namespace `support`, ready unless said otherwise. */
export function aModel(
  name: string,
  ready: { status: 'True' | 'False'; reason: string } = { status: 'True', reason: 'Ready' },
): SpecializedModel {
  return {
    apiVersion: 'cadre.dev/v1alpha1',
    kind: 'SpecializedModel',
    metadata: { name, namespace: 'support', uid: `uid-${name}`, generation: 1, resourceVersion: '1' },
    spec: {
      task: 'Classification',
      model: { uri: 'pvc://models/classifier.gguf' },
      engine: { type: 'LlamaCpp' },
      replicas: 1,
    },
    status: {
      conditions: [{ type: 'Ready', ...ready, message: '', lastTransitionTime: '2026-01-01T00:00:00Z' }],
    },
  };
}

/** A Secret of namespace `support` as it was read. */
export function aSecret(
  name: string,
  data: Record<string, string>,
  annotations: Record<string, string> = {},
): SecretView {
  const encoded = Object.entries(data).map(([key, value]) => [key, Buffer.from(value).toString('base64')] as const);
  const secret: Secret = {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name, namespace: 'support', annotations },
    data: Object.fromEntries(encoded),
  };
  return { state: 'Present', secret };
}
