import type { RoutingPolicySpec, RoutingPolicyStatus } from './routing-policy.ts';
import type { SpecializedModelSpec, SpecializedModelStatus } from './specialized-model.ts';

/** What of ObjectMeta our kinds use. */
export interface Metadata {
  name: string;
  namespace: string;
  uid: string;
  generation: number;
  resourceVersion: string;
  creationTimestamp?: string;
  deletionTimestamp?: string;
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
}

/** One task-specific model, served. */
export interface SpecializedModel {
  apiVersion: 'cadre.dev/v1alpha1';
  kind: 'SpecializedModel';
  metadata: Metadata;
  spec: SpecializedModelSpec;
  status?: SpecializedModelStatus;
}

/** One public model name, and how its requests are divided between backends. */
export interface RoutingPolicy {
  apiVersion: 'cadre.dev/v1alpha1';
  kind: 'RoutingPolicy';
  metadata: Metadata;
  spec: RoutingPolicySpec;
  status?: RoutingPolicyStatus;
}
