import { modelLabel } from '../crds/names.ts';
import type { RoutingPolicy, SpecializedModel } from '../crds/v1alpha1/kinds.ts';
import { type Change, type KubeObject, keyOf, type ObjectKey, type ObjectMeta } from '../kube/types.ts';
import type { Caches, Deployment, Node, Secret } from './context.ts';
import { shortNameOf } from './controllers/routing-policy/names.ts';
import { policyOf } from './controllers/routing-policy/route-secret.ts';

/** Indexes of the caches, by which a change finds whom it concerns. */
export const policyIndexes = {
  /** `namespace/name` of each SpecializedModel that a policy names. */
  modelRef: ({ metadata, spec }: RoutingPolicy) => [
    ...new Set(spec.backends.flatMap(({ modelRef }) => (modelRef ? [`${metadata.namespace}/${modelRef.name}`] : []))),
  ],
  /** The short model name. */
  shortName: (policy: RoutingPolicy) => [shortNameOf(policy)],
};

export const podIndexes = { model: (pod: KubeObject) => labelledModel(pod) };

/** The model whose child this is, by its label. */
function labelledModel({ metadata }: KubeObject): ObjectKey[] {
  const name = metadata.labels?.[modelLabel];
  return name === undefined ? [] : [`${metadata.namespace}/${name}`];
}

/** Models that a change of one of their children concerns; of both, when the label was changed. */
export function modelsOfChild({ before, after }: Change<KubeObject>): ObjectKey[] {
  return distinct([before, after].flatMap((object) => (object ? labelledModel(object) : [])));
}

/** What is looked at of an object of any kind. */
interface Described {
  metadata: Partial<ObjectMeta>;
}

/** Whether nothing changed that a user or a controller could want otherwise. */
export function isStatusOnly({ before, after }: { before?: Described; after?: Described }): boolean {
  if (!before || !after || before.metadata.generation === undefined) return false;
  const wanted = ({ metadata }: Described): string => {
    const { generation, labels, annotations, ownerReferences, deletionTimestamp } = metadata;
    return JSON.stringify([generation, labels, annotations, ownerReferences, deletionTimestamp]);
  };
  return wanted(before) === wanted(after);
}

/** Models that a change of a Deployment concerns. Its counts are not read, the pods are. */
export function modelsOfDeployment(change: Change<Deployment>): ObjectKey[] {
  const { before, after } = change;
  if (before && after && isStatusOnly(change) && deploymentFailures(before) === deploymentFailures(after)) return [];
  return modelsOfChild(change);
}

/** What of a Deployment's status is a model's problem. */
function deploymentFailures({ metadata, status }: Deployment): string {
  if (status?.observedGeneration !== metadata.generation) return '';
  const failures = status?.conditions?.filter(
    ({ type, status: is, reason }) =>
      (type === 'ReplicaFailure' && is === 'True') || (type === 'Progressing' && reason === 'ProgressDeadlineExceeded'),
  );
  return (failures ?? []).map(({ type, message }) => `${type} ${message}`).join();
}

/** Models that a change of a node concerns: those that are not ready, for which it may be the reason or the cure. */
export function modelsOfNode({ before, after }: Change<Node>, { models }: Pick<Caches, 'models'>): ObjectKey[] {
  if (before && after && nodeOffer(before) === nodeOffer(after)) return [];
  return [...models.list()].filter((model) => readiness(model) !== 'True').map(keyOf);
}

/** What of a node decides where pods can be; the rest changes with every heartbeat. */
function nodeOffer({ metadata, spec, status }: Node): string {
  const ready = status?.conditions?.find(({ type }) => type === 'Ready')?.status;
  return JSON.stringify([metadata.labels, spec?.taints, spec?.unschedulable, status?.allocatable, ready]);
}

/** Policies that a change of a model concerns: it came or went, or what they compile of it changed. */
export function policiesOfModel(
  { key, before, after }: Change<SpecializedModel>,
  { policies }: Pick<Caches, 'policies'>,
): ObjectKey[] {
  if (before && after && modelFacts(before) === modelFacts(after)) return [];
  return policies.byIndex('modelRef', key).map(keyOf);
}

function modelFacts(model: SpecializedModel): string {
  const ready = model.status?.conditions?.find(({ type }) => type === 'Ready');
  return JSON.stringify([model.spec.engine.type, model.spec.task, ready?.status, ready?.reason]);
}

/** Policies that a change of a policy concerns: itself, and those of the same short name when it claims or frees that. */
export function policiesOfPolicy(
  { key, before, after }: Change<RoutingPolicy>,
  { policies }: Pick<Caches, 'policies'>,
): ObjectKey[] {
  if (before && after && before.metadata.generation === after.metadata.generation) return [key];
  const names = distinct([before, after].flatMap((policy) => (policy ? [shortNameOf(policy)] : [])));
  return distinct([key, ...names.flatMap((name) => policies.byIndex('shortName', name).map(keyOf))]);
}

/** The policy of a route Secret. */
export function policiesOfRoute({ before, after }: Change<Secret>): ObjectKey[] {
  return distinct([before, after].flatMap((secret) => (secret ? (policyOf(secret) ?? []) : [])));
}

function readiness({ status }: SpecializedModel): string | undefined {
  return status?.conditions?.find(({ type }) => type === 'Ready')?.status;
}

function distinct(keys: ObjectKey[]): ObjectKey[] {
  return [...new Set(keys)];
}
