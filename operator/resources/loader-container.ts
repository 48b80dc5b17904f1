import type { V1Container } from '@kubernetes/client-node';
import { loaderContainer, modelMountPath, tokenVariable } from '../../crds/names.ts';
import type { SpecializedModelSpec } from '../../crds/v1alpha1/specialized-model.ts';
import type { Json } from '../../kube/types.ts';
import type { OperatorConfig } from '../config.ts';
import { restricted } from './security.ts';
import type { Weights } from './weights.ts';

/** The init container that brings the weights into place and verifies them: the only one that sees the credentials. */
export function loader(spec: SpecializedModelSpec, place: Weights, config: OperatorConfig): Json<V1Container> {
  const { uri, revision, sha256, credentials } = spec.model;
  const option = (flag: string, value: string | undefined) => (value === undefined ? [] : [flag, value]);
  return {
    name: loaderContainer,
    image: config.image,
    args: [
      ['load', '--uri', uri, '--engine', spec.engine.type, '--to', place.folder],
      option('--revision', revision),
      option('--sha256', sha256),
      uri.startsWith('hf://') ? ['--hub-endpoint', config.hub.endpoint] : [],
      place.shared ? ['--shared'] : [],
    ].flat(),
    ...(credentials && {
      env: [{ name: tokenVariable, valueFrom: { secretKeyRef: { name: credentials.name, key: credentials.key } } }],
    }),
    resources: { requests: { cpu: '100m', memory: '128Mi' }, limits: { memory: '512Mi' } },
    volumeMounts: [{ name: 'models', mountPath: modelMountPath, ...(place.loaderWrites ? {} : { readOnly: true }) }],
    securityContext: restricted,
  };
}
