import { pausedAnnotation } from '../../../crds/names.ts';
import { type Parsed, parseSpecializedModel } from '../../../crds/parse.ts';
import type { SpecializedModel } from '../../../crds/v1alpha1/kinds.ts';
import type { ModelSourceSpec } from '../../../crds/v1alpha1/model-source.ts';
import type { SpecializedModelSpec, SpecializedModelStatus } from '../../../crds/v1alpha1/specialized-model.ts';
import type { ObjectKey, Store } from '../../../kube/types.ts';
import type { Caches, Node, Pod, SecretReader, SecretView, TemplateReader, TemplateView } from '../../context.ts';
import type { ModelObjects } from '../../resources/model-objects.ts';
import type { ToldStatuses } from '../../told-statuses.ts';

/** How Secrets and ConfigMaps know who asked for them. */
export const controllerName = 'specialized-model';

/** Everything that a decision about one model is made from. */
export interface SeenModel {
  key: ObjectKey;
  /** With its defaults, when its spec is valid. */
  model: SpecializedModel;
  /** What is wrong with its spec; nothing else of it may be read then. */
  problems: readonly string[];
  paused: boolean;
  /** Objects that have the names of the model's children, and its label. */
  children: Partial<ModelObjects>;
  /** All pods with the model's label. */
  pods: readonly Pod[];
  nodes: Store<Node>;
  /** The Secret of its credentials, when it names one. */
  credentials?: SecretView;
  /** The same of its adapter. */
  adapterCredentials?: SecretView;
  /** Its prompt template, when it names one. */
  promptTemplate?: TemplateView;
}

/** By spec, which stays the same object in the cache while the generation is the same. */
const parsedOnce = new WeakMap<SpecializedModelSpec, Parsed<SpecializedModelSpec>>();

function parseOnce(found: SpecializedModel): Parsed<SpecializedModel> {
  let spec = parsedOnce.get(found.spec);
  if (!spec) {
    const parsed = parseSpecializedModel(found);
    spec = parsed.ok ? { ok: true, value: parsed.value.spec } : parsed;
    parsedOnce.set(found.spec, spec);
  }
  return spec.ok ? { ok: true, value: { ...found, spec: spec.value } } : spec;
}

interface Sources {
  caches: Caches;
  secrets: SecretReader;
  templates: TemplateReader;
  told: ToldStatuses<SpecializedModelStatus>;
}

/** Looks at the caches. Undefined for a model that is gone or going: garbage collection does the rest. */
export function observe(key: ObjectKey, { caches, secrets, templates, told }: Sources): SeenModel | undefined {
  const reader = { controller: controllerName, key };
  // Forgotten and named again: what the model no longer names is no longer read.
  secrets.forget(reader);
  templates.forget(reader);
  const found = caches.models.get(key);
  if (!found || found.metadata.deletionTimestamp !== undefined) {
    told.forget(key);
    return undefined;
  }
  const parsed = parseOnce(found);
  const status = told.last(key, found);
  const model = { ...(parsed.ok ? parsed.value : found), ...(status && { status }) };
  const { credentials, adapter, promptTemplate }: Partial<ModelSourceSpec> = parsed.ok ? parsed.value.spec.model : {};
  const { namespace } = model.metadata;
  const secret = ({ name }: { name: string }) => secrets.view(namespace, name, reader);
  return {
    key,
    model,
    problems: parsed.ok ? [] : parsed.problems,
    paused: found.metadata.annotations?.[pausedAnnotation] === 'true',
    children: liveChildren(key, caches),
    pods: caches.pods.byIndex('model', key),
    nodes: caches.nodes,
    ...(credentials && { credentials: secret(credentials) }),
    ...(adapter?.credentials && { adapterCredentials: secret(adapter.credentials) }),
    ...(promptTemplate && { promptTemplate: templates.view(namespace, promptTemplate.configMap, reader) }),
  };
}

function liveChildren(key: ObjectKey, caches: Caches): Partial<ModelObjects> {
  const serviceAccounts = caches.serviceAccounts.get(key);
  const networkPolicies = caches.networkPolicies.get(key);
  const services = caches.services.get(key);
  const podDisruptionBudgets = caches.podDisruptionBudgets.get(key);
  const deployments = caches.deployments.get(key);
  return {
    ...(serviceAccounts && { serviceAccounts }),
    ...(networkPolicies && { networkPolicies }),
    ...(services && { services }),
    ...(podDisruptionBudgets && { podDisruptionBudgets }),
    ...(deployments && { deployments }),
  };
}
