import type { V1Container, V1EnvVar, V1VolumeMount } from '@kubernetes/client-node';
import {
  adapterTokenVariable,
  loaderContainer,
  promptTemplateFile,
  promptTemplateMountPath,
  promptTemplateVariable,
  tokenVariable,
} from '../../crds/names.ts';
import type { SpecializedModelSpec } from '../../crds/v1alpha1/specialized-model.ts';
import type { Json } from '../../kube/types.ts';
import type { OperatorConfig } from '../config.ts';
import type { PromptTemplate } from '../context.ts';
import { literal } from './literal.ts';
import type { Place, Places } from './places.ts';
import { restricted } from './security.ts';

type Source = Pick<SpecializedModelSpec['model'], 'uri' | 'revision' | 'sha256' | 'credentials'>;

/**
 * The init container that brings the weights and the adapter into place and verifies them: the only one that sees the
 * credentials. It has the prompt template's text in its environment, and so in the pod's own template: all pods of one
 * template have the same text, whatever becomes of the ConfigMap meanwhile.
 */
export function loader(
  spec: SpecializedModelSpec,
  { model, adapter }: Places,
  config: OperatorConfig,
  promptTemplate: PromptTemplate | undefined,
): Json<V1Container> {
  const source = spec.model;
  const mounted = [model, ...(adapter ? [adapter] : [])];
  const env = [
    ...token(tokenVariable, source),
    ...(source.adapter ? token(adapterTokenVariable, source.adapter) : []),
    ...(promptTemplate ? [{ name: promptTemplateVariable, value: literal(promptTemplate.text) }] : []),
  ];
  const isFromHub = [source, ...(source.adapter ? [source.adapter] : [])].some(({ uri }) => uri.startsWith('hf://'));
  return {
    name: loaderContainer,
    image: config.image,
    args: [
      ['load', '--uri', source.uri, '--engine', spec.engine.type, '--to', model.folder],
      options('', source),
      isFromHub ? ['--hub-endpoint', config.hub.endpoint] : [],
      model.shared ? ['--shared'] : [],
      source.adapter && adapter ? ['--adapter-uri', source.adapter.uri, '--adapter-to', adapter.folder] : [],
      source.adapter ? options('adapter-', source.adapter) : [],
      adapter?.shared ? ['--adapter-shared'] : [],
      promptTemplate ? ['--prompt-template-to', promptTemplateFile] : [],
    ].flat(),
    ...(env.length > 0 && { env }),
    resources: { requests: { cpu: '100m', memory: '128Mi' }, limits: { memory: '512Mi' } },
    volumeMounts: [
      ...mounted.map(mount),
      ...(promptTemplate ? [{ name: 'prompt-template', mountPath: promptTemplateMountPath }] : []),
    ],
    securityContext: restricted,
  };
}

function mount({ volume: { name }, mountPath, loaderWrites }: Place): Json<V1VolumeMount> {
  return loaderWrites ? { name, mountPath } : { name, mountPath, readOnly: true };
}

function options(prefix: '' | 'adapter-', { revision, sha256 }: Source): string[] {
  return [
    revision === undefined ? [] : [`--${prefix}revision`, revision],
    sha256 === undefined ? [] : [`--${prefix}sha256`, sha256],
  ].flat();
}

function token(name: string, { credentials }: Source): Json<V1EnvVar>[] {
  if (!credentials) return [];
  return [{ name, valueFrom: { secretKeyRef: { name: credentials.name, key: credentials.key } } }];
}
