import { createHash } from 'node:crypto';
import type { V1PodSpec, V1PodTemplateSpec, V1Toleration, V1Volume } from '@kubernetes/client-node';
import {
  promptTemplateAnnotation,
  promptTemplateFile,
  promptTemplateMountPath,
  revisionAnnotation,
} from '../../crds/names.ts';
import type { SpecializedModel } from '../../crds/v1alpha1/kinds.ts';
import type { Json } from '../../kube/types.ts';
import type { GpuProfile, OperatorConfig } from '../config.ts';
import type { PromptTemplate } from '../context.ts';
import { engines } from '../engines/registry.ts';
import { modelLabels, modelSelector } from './child.ts';
import { drainKey } from './drain-key.ts';
import { type EngineSurroundings, engine } from './engine-container.ts';
import { loader } from './loader-container.ts';
import { type Places, places } from './places.ts';
import { restrictedPod } from './security.ts';
import { sidecar } from './sidecar-container.ts';

/** Seconds that are left for the kubelet itself. */
const graceMarginSeconds = 10;

/** What the names in a spec stand for. */
export interface Found {
  /** That of `spec.gpu.profile`. */
  profile?: GpuProfile | undefined;
  /** That of `spec.model.promptTemplate`. */
  promptTemplate?: PromptTemplate | undefined;
}

/** The pod of one replica: the loader, then the sidecar, then the engine. */
export function podTemplate(model: SpecializedModel, config: OperatorConfig, found: Found): Json<V1PodTemplateSpec> {
  const { metadata, spec } = model;
  const { profile, promptTemplate } = found;
  const server = engines[spec.engine.type];
  const loaded = places(spec.model);
  const own = server.container({
    servedName: metadata.name,
    modelPath: loaded.model.path,
    adapterPath: loaded.adapter?.path,
    promptTemplatePath: promptTemplate && promptTemplateFile,
    spec,
  });
  const image = spec.engine.image ?? config.engines[spec.engine.type].image;
  const { delaySeconds, deadlineSeconds } = config.drain;
  const pod: Json<V1PodSpec> = {
    serviceAccountName: metadata.name,
    automountServiceAccountToken: false,
    // A Service named `vllm` would set VLLM_PORT to a URL, and vLLM would not start.
    enableServiceLinks: false,
    securityContext: restrictedPod,
    terminationGracePeriodSeconds: delaySeconds + deadlineSeconds + server.shutdownSeconds + graceMarginSeconds,
    initContainers: [loader(spec, loaded, config, promptTemplate), sidecar(model, config)],
    containers: [
      engine(spec, own, { image, profile, drainKey: drainKey(metadata.uid), mounts: mounts(loaded, found) }),
    ],
    volumes: [...volumes(loaded, found), { name: 'tmp', emptyDir: {} }, ...own.volumes],
    topologySpreadConstraints: ['kubernetes.io/hostname', 'topology.kubernetes.io/zone'].map((topologyKey) => ({
      topologyKey,
      maxSkew: 1,
      whenUnsatisfiable: 'ScheduleAnyway',
      labelSelector: { matchLabels: modelSelector(metadata.name) },
      matchLabelKeys: ['pod-template-hash'],
    })),
    ...(profile && gpuNode(profile)),
  };
  const labels = modelLabels(metadata.name);
  const annotations = {
    [revisionAnnotation]: revisionOf(pod),
    ...(promptTemplate && { [promptTemplateAnnotation]: promptTemplate.digest }),
  };
  return { metadata: { labels, annotations }, spec: pod };
}

const promptTemplateVolume = 'prompt-template';

/** What is loaded, each volume once. */
function volumes({ model, adapter }: Places, { promptTemplate }: Found): Json<V1Volume>[] {
  return [
    model.volume,
    ...(adapter && adapter.volume.name !== model.volume.name ? [adapter.volume] : []),
    ...(promptTemplate ? [{ name: promptTemplateVolume, emptyDir: {} }] : []),
  ];
}

function mounts({ model, adapter }: Places, { promptTemplate }: Found): EngineSurroundings['mounts'] {
  const loaded = [model, ...(adapter ? [adapter] : [])];
  return [
    ...loaded.map(({ volume, mountPath }) => ({ name: volume.name, mountPath })),
    ...(promptTemplate ? [{ name: promptTemplateVolume, mountPath: promptTemplateMountPath }] : []),
  ];
}

/** Where a GPU of this profile is. */
function gpuNode({ nodeSelector, tolerations, runtimeClassName }: GpuProfile): Partial<Json<V1PodSpec>> {
  return {
    ...(Object.keys(nodeSelector).length > 0 ? { nodeSelector } : {}),
    ...(tolerations.length > 0 ? { tolerations: tolerations as Json<V1Toleration>[] } : {}),
    ...(runtimeClassName === undefined ? {} : { runtimeClassName }),
  };
}

/** Tells pods of this template from pods of an older one. */
function revisionOf(pod: Json<V1PodSpec>): string {
  return createHash('sha256').update(JSON.stringify(pod)).digest('hex').slice(0, 16);
}
