import { apiVersion, managedByLabel, managedByValue, modelLabel } from '../../crds/names.ts';
import type { SpecializedModel } from '../../crds/v1alpha1/kinds.ts';
import type { ObjectMeta, OwnerReference } from '../../kube/types.ts';

/** Labels of everything that is made for a model. Nothing is copied from the model: labels of deployment tools would follow. */
export function modelLabels(name: string): Record<string, string> {
  return { [managedByLabel]: managedByValue, ...modelSelector(name) };
}

/** What finds a model's pods. A Deployment's selector can never be changed. */
export function modelSelector(name: string): Record<string, string> {
  return { [modelLabel]: name };
}

/** Metadata of a model's child, which is named as the model is and goes when the model goes. */
export function childMetadata({ metadata }: SpecializedModel): ObjectMeta {
  const { name, namespace } = metadata;
  return { name, namespace, labels: modelLabels(name), ownerReferences: [ownerReference(metadata)] };
}

function ownerReference({ name, uid }: SpecializedModel['metadata']): OwnerReference {
  return { apiVersion, kind: 'SpecializedModel', name, uid, controller: true };
}
