import { enginePort, enginePortName } from '../../crds/names.ts';
import type { SpecializedModel } from '../../crds/v1alpha1/kinds.ts';
import type { Service } from '../context.ts';
import { childMetadata, modelSelector } from './child.ts';

/** Finds a model's ready pods. The router reads its EndpointSlices, which inherit its labels. */
export function service(model: SpecializedModel): Service {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: childMetadata(model),
    spec: {
      selector: modelSelector(model.metadata.name),
      ports: [{ name: enginePortName, port: enginePort, targetPort: enginePortName, protocol: 'TCP' }],
    },
  };
}

/** The Service's address, as it stands in the status. */
export function serviceUrl({ name, namespace }: { name: string; namespace: string }): string {
  return `http://${name}.${namespace}.svc:${enginePort}`;
}
