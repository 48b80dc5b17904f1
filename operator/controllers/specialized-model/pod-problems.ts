import type { V1ContainerStateTerminated, V1ContainerStatus, V1PodCondition } from '@kubernetes/client-node';
import { z } from 'zod';
import { engineContainer, loaderContainer } from '../../../crds/names.ts';
import type { Json, Store } from '../../../kube/types.ts';
import type { Node, Pod } from '../../context.ts';
import { lastWords, steady } from './last-words.ts';
import type { Problem, ProblemReason } from './reasons.ts';

type ContainerStatus = Json<V1ContainerStatus>;

const pullFailures = new Set([
  'ErrImagePull',
  'ImagePullBackOff',
  'ErrImageNeverPull',
  'InvalidImageName',
  'RegistryUnavailable',
]);
const startFailures = new Set([
  'CreateContainerConfigError',
  'CreateContainerError',
  'RunContainerError',
  'PreStartHookError',
]);
const neverRan = new Set(['StartError', 'ContainerCannotRun']);
/** 137 is SIGKILL, 143 SIGTERM: who did not end by itself was ended by the kubelet, as its probe failed. */
const endedFromOutside = new Set([137, 143]);

/** Codes in the loader's termination message that are reasons of their own; all others mean `ModelDownloadFailed`. */
const loaderReasons = new Map<string, ProblemReason>([
  ['ChecksumMismatch', 'ChecksumMismatch'],
  ['ModelNotFound', 'ModelNotFound'],
  ['NotAGguf', 'NotAGguf'],
  ['InvalidModel', 'InvalidModel'],
  ['AdapterMismatch', 'AdapterMismatch'],
  ['InvalidAdapter', 'InvalidAdapter'],
]);
/** What an engine says of an adapter or a template that the loader let pass: llama-server 0.7.0, and vLLM 0.32.0's PEFT helper. */
const engineReasons: readonly [RegExp, ProblemReason][] = [
  [/LoRA arch mismatch|maybe wrong base model/, 'AdapterMismatch'],
  [
    /failed to (apply|load) lora adapter|LoRA rank \d+ is greater|vLLM does not (yet )?support .*[DL]oRA/,
    'InvalidAdapter',
  ],
  [/supplied chat template is not supported/, 'PromptTemplateRefused'],
];
const loaderFailure = z.object({ code: z.string(), message: z.string() });

/**
 * Why a pod does not serve, as far as anybody can tell; undefined while it is simply starting, or when it serves. A
 * container that crashed and was started again keeps its reason until it is well: it would alternate otherwise.
 */
export function podProblem(pod: Pod, surroundings: Surroundings): Problem | undefined {
  if (isReady(pod)) return undefined;
  const ofContainers = () =>
    statuses(pod)
      .map((status) => containerProblem(status, surroundings))
      .find((problem) => problem !== undefined);
  return schedulingProblem(pod) ?? nodeProblem(pod, surroundings) ?? ofContainers() ?? engineStopped(pod);
}

/** What explains a pod beside itself. */
export interface Surroundings {
  nodes: Store<Node>;
  /** Of the engine's container. */
  memoryLimit: string | number | undefined;
}

/** Whether a pod takes requests. */
export function isReady(pod: Pod): boolean {
  return conditionOf(pod, 'Ready')?.status === 'True';
}

export function conditionOf(pod: Pod, type: string): Json<V1PodCondition> | undefined {
  return pod.status?.conditions?.find((condition) => condition.type === type);
}

/** Of all containers, in the order in which they start. */
function statuses({ status }: Pod): ContainerStatus[] {
  return [...(status?.initContainerStatuses ?? []), ...(status?.containerStatuses ?? [])];
}

function schedulingProblem(pod: Pod): Problem | undefined {
  const scheduled = conditionOf(pod, 'PodScheduled');
  if (scheduled?.status !== 'False') return undefined;
  if (scheduled.reason === 'SchedulingGated') {
    return { reason: 'Queued', message: 'pods wait for their scheduling gates' };
  }
  // What preemption could not do says nothing new, and changes with every try.
  const words = steady((scheduled.message ?? '').replace(/\s*preemption: .*$/s, ''));
  return { reason: 'Unschedulable', message: `no node takes the pod: ${words || 'the scheduler gives no reason'}` };
}

function nodeProblem(pod: Pod, { nodes }: Surroundings): Problem | undefined {
  const name = pod.spec?.nodeName;
  const ready =
    name === undefined ? undefined : nodes.get(name)?.status?.conditions?.find(({ type }) => type === 'Ready');
  if (!ready || ready.status === 'True') return undefined;
  return { reason: 'NodeNotReady', message: `node ${name}, which has a replica, is not ready: ${ready.reason}` };
}

function containerProblem(status: ContainerStatus, surroundings: Surroundings): Problem | undefined {
  const { name, state, lastState } = status;
  const waiting = state?.waiting;
  if (waiting?.reason && pullFailures.has(waiting.reason)) {
    return { reason: 'ImagePullFailed', message: pullMessage(status, waiting.message) };
  }
  if (waiting?.reason && startFailures.has(waiting.reason)) {
    return {
      reason: 'CannotStart',
      message: `container ${name} cannot be started: ${steady(waiting.message ?? waiting.reason)}`,
    };
  }
  const end = state?.terminated ?? lastState?.terminated;
  const isWell = state?.running !== undefined && status.ready && status.started !== false;
  if (!end || isWell || (name === loaderContainer && end.exitCode === 0)) return undefined;
  return endProblem(name, end, surroundings);
}

function pullMessage({ name, image }: ContainerStatus, message = ''): string {
  const cause = steady(message)
    .replace(/^Back-off pulling image "[^"]*":? ?/, '')
    .replace(/^ErrImagePull: /, '');
  const cure = name === engineContainer ? 'correct spec.engine.image or give the node access' : 'give the node access';
  return `image ${image} of container ${name} cannot be pulled; ${cure}${cause ? `: ${cause}` : ''}`;
}

function endProblem(name: string, end: Json<V1ContainerStateTerminated>, { memoryLimit }: Surroundings): Problem {
  const { exitCode, reason, message = '' } = end;
  if (reason && neverRan.has(reason)) {
    return { reason: 'CannotStart', message: `container ${name} cannot be started: ${steady(message)}` };
  }
  if (reason === 'OOMKilled') return { reason: 'OutOfMemory', message: memoryMessage(name, memoryLimit) };
  if (name === loaderContainer) return loaderProblem(message, exitCode);
  if (name === engineContainer && exitCode === 0) {
    return {
      reason: 'EngineUnhealthy',
      message: 'the engine ended by itself without an error, as vLLM does when its engine process dies; see its log',
    };
  }
  if (name === engineContainer && endedFromOutside.has(exitCode)) {
    return {
      reason: 'EngineUnhealthy',
      message: 'the engine was restarted because it did not answer its health check; see its log',
    };
  }
  const words = lastWords(message);
  const known = name === engineContainer ? engineReasons.find(([pattern]) => pattern.test(message)) : undefined;
  return {
    reason: known?.[1] ?? 'CrashLooping',
    message: `container ${name} exits with code ${exitCode}${words ? `: ${words}` : ''}`,
  };
}

function memoryMessage(name: string, limit: Surroundings['memoryLimit']): string {
  if (name !== engineContainer) return `container ${name} was killed, as it used more memory than it may`;
  const used = limit === undefined ? 'the node has no more memory for it' : `it needs more than its limit of ${limit}`;
  return `the engine was killed, as ${used}: raise spec.resources.limits.memory, or lower spec.engine.maxModelLength or maxConcurrency`;
}

function loaderProblem(message: string, exitCode: number): Problem {
  const failure = loaderFailure.safeParse(parseJson(message));
  if (!failure.success) {
    return { reason: 'ModelDownloadFailed', message: `the loader exits with code ${exitCode}: ${lastWords(message)}` };
  }
  const { code, message: words } = failure.data;
  const reason = loaderReasons.get(code);
  return reason
    ? { reason, message: steady(words) }
    : { reason: 'ModelDownloadFailed', message: `${code}: ${steady(words)}` };
}

/** JSON, or undefined for what is none. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** A pod that was ready after its engine had started, and is not any more: it is not loading, it is ill. */
function engineStopped(pod: Pod): Problem | undefined {
  const engine = statuses(pod).find(({ name }) => name === engineContainer);
  const startedAt = engine?.state?.running?.startedAt;
  const lost = conditionOf(pod, 'ContainersReady');
  if (!startedAt || lost?.status !== 'False' || !lost.lastTransitionTime) return undefined;
  if (Date.parse(lost.lastTransitionTime) <= Date.parse(startedAt)) return undefined;
  return { reason: 'EngineUnhealthy', message: 'the engine served and does not answer any more; see its log' };
}
