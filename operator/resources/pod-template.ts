import { createHash } from 'node:crypto';
import type { V1PodSpec, V1PodTemplateSpec, V1Toleration } from '@kubernetes/client-node';
import { revisionAnnotation } from '../../crds/names.ts';
import type { SpecializedModel } from '../../crds/v1alpha1/kinds.ts';
import type { Json } from '../../kube/types.ts';
import type { GpuProfile, OperatorConfig } from '../config.ts';
import { engines } from '../engines/registry.ts';
import { modelLabels, modelSelector } from './child.ts';
import { drainKey } from './drain-key.ts';
import { engine } from './engine-container.ts';
import { loader } from './loader-container.ts';
import { restrictedPod } from './security.ts';
import { sidecar } from './sidecar-container.ts';
import { weights } from './weights.ts';

/** Seconds that are left for the kubelet itself. */
const graceMarginSeconds = 10;

/** The pod of one replica: the loader, then the sidecar, then the engine. */
export function podTemplate(
  model: SpecializedModel,
  config: OperatorConfig,
  profile: GpuProfile | undefined,
): Json<V1PodTemplateSpec> {
  const { metadata, spec } = model;
  const server = engines[spec.engine.type];
  const place = weights(spec.model);
  const own = server.container({ servedName: metadata.name, modelPath: place.modelPath, spec });
  const image = spec.engine.image ?? config.engines[spec.engine.type].image;
  const { delaySeconds, deadlineSeconds } = config.drain;
  const pod: Json<V1PodSpec> = {
    serviceAccountName: metadata.name,
    automountServiceAccountToken: false,
    // A Service named `vllm` would set VLLM_PORT to a URL, and vLLM would not start.
    enableServiceLinks: false,
    securityContext: restrictedPod,
    terminationGracePeriodSeconds: delaySeconds + deadlineSeconds + server.shutdownSeconds + graceMarginSeconds,
    initContainers: [loader(spec, place, config), sidecar(model, config)],
    containers: [engine(spec, own, { image, profile, drainKey: drainKey(metadata.uid) })],
    volumes: [{ name: 'models', ...place.volume }, { name: 'tmp', emptyDir: {} }, ...own.volumes],
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
  return { metadata: { labels, annotations: { [revisionAnnotation]: revisionOf(pod) } }, spec: pod };
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
