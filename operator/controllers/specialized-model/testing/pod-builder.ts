import type { V1ContainerState, V1ContainerStatus, V1PodCondition } from '@kubernetes/client-node';
import { revisionAnnotation } from '../../../../crds/names.ts';
import type { SpecializedModel } from '../../../../crds/v1alpha1/kinds.ts';
import type { Json } from '../../../../kube/types.ts';
import type { Pod, PromptTemplate } from '../../../context.ts';
import { modelLabels } from '../../../resources/child.ts';
import { modelObjects } from '../../../resources/model-objects.ts';
import { testConfig } from './config.ts';

type ContainerName = 'loader' | 'sidecar' | 'engine';
type State = Json<V1ContainerState>;

const born = '2026-01-01T00:00:10Z';

/** A pod of a model's present template, just created: no scheduler has looked at it. */
export function aPod(
  model: SpecializedModel,
  name = `${model.metadata.name}-7d4f9c5b6-abcde`,
  promptTemplate?: PromptTemplate,
): PodBuilder {
  const profile = model.spec.gpu && testConfig.gpuProfiles[model.spec.gpu.profile];
  const template = modelObjects(model, testConfig, { profile, promptTemplate }).deployments.spec?.template;
  return new PodBuilder({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name,
      namespace: model.metadata.namespace,
      uid: `uid-of-${name}`,
      resourceVersion: '1',
      creationTimestamp: born,
      labels: modelLabels(model.metadata.name),
      annotations: template?.metadata?.annotations ?? {},
    },
    // What the operator keeps of it in memory.
    spec: {} as NonNullable<Pod['spec']>,
    status: { phase: 'Pending' },
  });
}

/** Says what has become of a pod; each step gives a new builder. */
export class PodBuilder {
  readonly #pod: Pod;

  constructor(pod: Pod) {
    this.#pod = pod;
  }

  build(): Pod {
    return structuredClone(this.#pod);
  }

  /** Of a template that is no longer wanted. */
  outdated(): PodBuilder {
    return this.withMetadata({ annotations: { [revisionAnnotation]: 'an-older-one' } });
  }

  withMetadata(metadata: Partial<Pod['metadata']>): PodBuilder {
    return new PodBuilder({ ...this.#pod, metadata: { ...this.#pod.metadata, ...metadata } });
  }

  evicted(): PodBuilder {
    return this.#withStatus({ phase: 'Failed', reason: 'Evicted' });
  }

  unschedulable(message = '0/3 nodes are available: 3 Insufficient cpu.', reason = 'Unschedulable'): PodBuilder {
    return this.#withCondition({ type: 'PodScheduled', status: 'False', reason, message });
  }

  scheduled(node = 'node-1'): PodBuilder {
    const pod = { ...this.#pod, spec: { ...this.#pod.spec, nodeName: node } as NonNullable<Pod['spec']> };
    return new PodBuilder(pod)
      .#withCondition({ type: 'PodScheduled', status: 'True', lastTransitionTime: born })
      .#withCondition({ type: 'ContainersReady', status: 'False', lastTransitionTime: born })
      .#withCondition({ type: 'Ready', status: 'False', lastTransitionTime: born });
  }

  /** The loader is done and the engine runs, since 00:00:20. */
  loaded(report: object = { digest: `sha256:${'a'.repeat(64)}`, bytes: 98_362_432, seconds: 3 }): PodBuilder {
    return this.scheduled()
      .withContainer('loader', { terminated: { exitCode: 0, reason: 'Completed', message: JSON.stringify(report) } })
      .withContainer('sidecar', { running: { startedAt: '2026-01-01T00:00:15Z' } }, { ready: false })
      .withContainer('engine', { running: { startedAt: '2026-01-01T00:00:20Z' } }, { started: true });
  }

  /** It serves, since 00:00:32. */
  ready(at = '2026-01-01T00:00:32Z', report?: object): PodBuilder {
    return this.loaded(report)
      .#withCondition({ type: 'ContainersReady', status: 'True', lastTransitionTime: at })
      .#withCondition({ type: 'Ready', status: 'True', lastTransitionTime: at });
  }

  /** It served, and lost its readiness at 00:05:00. */
  lost(): PodBuilder {
    const at = '2026-01-01T00:05:00Z';
    return this.ready()
      .#withCondition({ type: 'ContainersReady', status: 'False', lastTransitionTime: at })
      .#withCondition({ type: 'Ready', status: 'False', lastTransitionTime: at });
  }

  withContainer(name: ContainerName, state: State, over: Partial<Json<V1ContainerStatus>> = {}): PodBuilder {
    const list = name === 'engine' ? 'containerStatuses' : 'initContainerStatuses';
    const status: Json<V1ContainerStatus> = {
      name,
      image: `registry.example.com/${name}:v1`,
      imageID: '',
      ready: state.running !== undefined || state.terminated?.exitCode === 0,
      restartCount: 0,
      state,
      ...over,
    };
    const others = (this.#pod.status?.[list] ?? []).filter((other) => other.name !== name);
    return this.#withStatus({ [list]: [...others, status] });
  }

  /** It ended so, and waits to be started again. */
  crashed(name: ContainerName, end: Omit<NonNullable<State['terminated']>, 'containerID'>): PodBuilder {
    return this.scheduled().withContainer(
      name,
      { waiting: { reason: 'CrashLoopBackOff', message: 'back-off 5m0s restarting failed container' } },
      { restartCount: 4, lastState: { terminated: end } },
    );
  }

  #withCondition(condition: Json<V1PodCondition>): PodBuilder {
    const others = (this.#pod.status?.conditions ?? []).filter(({ type }) => type !== condition.type);
    return this.#withStatus({ conditions: [...others, condition] });
  }

  #withStatus(status: Pod['status']): PodBuilder {
    return new PodBuilder({ ...this.#pod, status: { ...this.#pod.status, ...status } });
  }
}
