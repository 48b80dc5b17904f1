import { type OperatorConfig, operatorConfigSchema } from '../../operator/config.ts';
import { modelObjects } from '../../operator/resources/model-objects.ts';
import { operatorConfiguration } from '../../test/support/operator-configuration.ts';
import { applyType } from './api.ts';

export const group = '/apis/cadre.dev/v1alpha1';
export const configuration: OperatorConfig = operatorConfigSchema.parse(operatorConfiguration);

/** Model number `index` of a fleet. */
export function aModel(namespace: string, index: number) {
  return {
    apiVersion: 'cadre.dev/v1alpha1',
    kind: 'SpecializedModel',
    metadata: { name: `model-${String(index).padStart(5, '0')}`, namespace },
    spec: {
      task: 'Classification',
      model: { uri: `pvc://models/model-${index}.gguf` },
      engine: { type: 'LlamaCpp' },
      replicas: 1,
      resources: { requests: { cpu: '100m', memory: '256Mi' }, limits: { cpu: '1', memory: '512Mi' } },
    },
  } as const;
}

/** Collections in which the children of a model are. */
export const childCollections: Record<keyof ReturnType<typeof modelObjects>, { api: string; plural: string }> = {
  serviceAccounts: { api: '/api/v1', plural: 'serviceaccounts' },
  networkPolicies: { api: '/apis/networking.k8s.io/v1', plural: 'networkpolicies' },
  services: { api: '/api/v1', plural: 'services' },
  podDisruptionBudgets: { api: '/apis/policy/v1', plural: 'poddisruptionbudgets' },
  deployments: { api: '/apis/apps/v1', plural: 'deployments' },
};

/** What is sent for one model, in order. */
export interface FloorCall {
  method: string;
  path: string;
  contentType: string;
  /** JSON. */
  body: string;
}

/** Stands where the model's UID comes in, which only its creation tells. */
export const uidPlaceholder = '00000000-0000-0000-0000-000000000000';

/** The same objects that the operator makes for a model, and one status, as calls. */
export function floorCalls(namespace: string, index: number): FloorCall[] {
  const model = aModel(namespace, index);
  const { name } = model.metadata;
  const made = { ...model, metadata: { ...model.metadata, uid: uidPlaceholder, generation: 1, resourceVersion: '1' } };
  const objects = modelObjects(made, configuration, undefined);
  const query = '?fieldManager=floor&force=true&fieldValidation=Strict';
  const condition = (type: string, status: string, reason: string) => ({
    type,
    status,
    reason,
    message: 'as long a message as a model that waits for its pods to be scheduled has, and some more words',
    lastTransitionTime: '2026-01-01T00:00:00Z',
    observedGeneration: 1,
  });
  const conditions = [
    condition('Accepted', 'True', 'Accepted'),
    condition('Ready', 'False', 'Loading'),
    condition('Reconciling', 'True', 'Loading'),
  ];
  const endpoint = `http://${name}.${namespace}.svc:8000`;
  const status = {
    observedGeneration: 1,
    replicas: 0,
    readyReplicas: 0,
    selector: `cadre.dev/model=${name}`,
    endpoint,
    conditions,
  };
  const models = `${group}/namespaces/${namespace}/specializedmodels`;
  return [
    { method: 'POST', path: models, contentType: 'application/json', body: JSON.stringify(model) },
    ...Object.entries(childCollections).map(([kind, { api, plural }]) => ({
      method: 'PATCH',
      path: `${api}/namespaces/${namespace}/${plural}/${name}${query}`,
      contentType: applyType,
      body: JSON.stringify(objects[kind as keyof typeof objects]),
    })),
    {
      method: 'PATCH',
      path: `${models}/${name}/status${query}`,
      contentType: applyType,
      body: JSON.stringify({ apiVersion: model.apiVersion, kind: model.kind, metadata: { name, namespace }, status }),
    },
  ];
}
