import type {
  V1Deployment,
  V1NetworkPolicy,
  V1Node,
  V1Pod,
  V1PodDisruptionBudget,
  V1Secret,
  V1Service,
  V1ServiceAccount,
} from '@kubernetes/client-node';
import type { RoutingPolicy, SpecializedModel } from '../crds/v1alpha1/kinds.ts';
import type { Json, KubeObject, Store } from '../kube/types.ts';

/** client-node's type as it is on the wire, with what every object has. */
export type Wire<T> = Json<T> & KubeObject;

export type Deployment = Wire<V1Deployment>;
export type Service = Wire<V1Service>;
export type ServiceAccount = Wire<V1ServiceAccount>;
export type PodDisruptionBudget = Wire<V1PodDisruptionBudget>;
export type NetworkPolicy = Wire<V1NetworkPolicy>;
export type Pod = Wire<V1Pod>;
export type Node = Wire<V1Node>;
export type Secret = Wire<V1Secret>;

/** Everything the operator watches. Children carry the label `cadre.dev/model`; route Secrets `cadre.dev/route`. */
export interface Caches {
  models: Store<SpecializedModel>;
  policies: Store<RoutingPolicy>;
  deployments: Store<Deployment>;
  services: Store<Service>;
  serviceAccounts: Store<ServiceAccount>;
  podDisruptionBudgets: Store<PodDisruptionBudget>;
  networkPolicies: Store<NetworkPolicy>;
  /** Indexed by `model`: `namespace/name` of the model whose label they carry. */
  pods: Store<Pod>;
  nodes: Store<Node>;
  routes: Store<Secret>;
}

/**
 * A Secret that an object names, as last read: the operator may get Secrets, not list or watch them. `Unknown` until the
 * first read; `problem` says why that one failed.
 */
export type SecretView =
  | { state: 'Unknown'; problem?: string }
  | { state: 'Missing' }
  | { state: 'Present'; secret: Secret };

/**
 * The Secrets that objects name. `view` answers at once from what was last read; naming a Secret makes it be read again,
 * every 5 s while it is missing (less often where a namespace misses more than 100) and every 60 s while it is there, and the
 * object be reconciled when it changed.
 */
export interface SecretReader {
  view(namespace: string, name: string, reader: { controller: string; key: string }): SecretView;
  /** The object no longer needs any Secret: it is gone. */
  forget(reader: { controller: string; key: string }): void;
}

/** The text of a prompt template. */
export interface PromptTemplate {
  text: string;
  /** `sha256:…` of the text in UTF-8. */
  digest: string;
}

/**
 * One value of a ConfigMap, as last read. `Unknown` until the first read; `problem` says why that one failed. `Missing`: there
 * is no such ConfigMap, or it has no such key. `Invalid`: what is there can't be a template, and why.
 */
export type TemplateView =
  | { state: 'Unknown'; problem?: string }
  | { state: 'Missing'; what: 'ConfigMap' | 'Key' }
  | { state: 'Invalid'; problem: string }
  | { state: 'Present'; template: PromptTemplate };

/**
 * The prompt templates that models name. As with Secrets, `view` answers at once from what was last read, and naming one makes
 * it be read again: every 5 s while it is missing and every 30 s while it is there.
 */
export interface TemplateReader {
  view(
    namespace: string,
    configMap: { name: string; key: string },
    reader: { controller: string; key: string },
  ): TemplateView;
  /** The object no longer needs any template: it is gone, or names others now. */
  forget(reader: { controller: string; key: string }): void;
}
