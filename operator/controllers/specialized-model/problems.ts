import type { GpuProfile, OperatorConfig } from '../../config.ts';
import type { Deployment, Node } from '../../context.ts';
import type { Fleet } from './fleet.ts';
import { steady } from './last-words.ts';
import type { SeenModel } from './observe.ts';
import { podProblem } from './pod-problems.ts';
import { type Problem, worst } from './reasons.ts';

/** The worst of what is wrong with the pods, or with the making of them; undefined when nothing is. */
export function worldProblem(seen: SeenModel, fleet: Fleet, config: OperatorConfig): Problem | undefined {
  const refusal = deploymentProblem(seen.children.deployments);
  const { nodes, model, problems } = seen;
  const memoryLimit = problems.length > 0 ? undefined : model.spec.resources?.limits?.memory;
  const ofPods = (pods: Fleet['pods']) => pods.flatMap((pod) => podProblem(pod, { nodes, memoryLimit }) ?? []);
  // Pods that are being replaced say nothing about what replaces them: whoever corrects a bad update is not told of it again.
  const counting = seen.paused ? fleet.pods : fleet.current;
  const found = worst([...(refusal ? [refusal] : []), ...ofPods(counting)]);
  if (found?.reason !== 'Unschedulable') return found;
  const isUpdate = fleet.outdated.length > 0 && fleet.ready.length > 0;
  const needs = gpuNeeds(seen, config);
  if (!isUpdate) return { ...found, message: found.message + needs };
  const cure = 'set spec.updateStrategy to maxSurge: 0, maxUnavailable: 1, or add a node';
  return { reason: 'UpdateBlocked', message: `the old pods keep serving; ${found.message}${needs}; ${cure}` };
}

/** Whether the Deployment has waited longer than weights can take. */
export function isStuck(deployment: Deployment | undefined): boolean {
  return currentCondition(deployment, 'Progressing')?.reason === 'ProgressDeadlineExceeded';
}

/** What the API server says about pods that it does not let in. */
function deploymentProblem(deployment: Deployment | undefined): Problem | undefined {
  const failure = currentCondition(deployment, 'ReplicaFailure');
  if (failure?.status !== 'True') return undefined;
  const words = steady(failure.message ?? '');
  if (words.includes('exceeded quota')) return { reason: 'QuotaExceeded', message: words };
  return { reason: 'PodsRefused', message: `pods are refused: ${words}` };
}

function currentCondition(deployment: Deployment | undefined, type: string) {
  const { status, metadata } = deployment ?? {};
  if (status?.observedGeneration !== metadata?.generation) return undefined;
  return status?.conditions?.find((condition) => condition.type === type);
}

/** What a replica needs of a node, and what the nodes have, where that explains it. */
function gpuNeeds({ model, nodes }: SeenModel, config: OperatorConfig): string {
  const { gpu } = model.spec;
  // The name may be that of something which every object inherits.
  if (!gpu || !Object.hasOwn(config.gpuProfiles, gpu.profile)) return '';
  const profile = config.gpuProfiles[gpu.profile];
  if (!profile) return '';
  const labels = Object.entries(profile.nodeSelector).map(([name, value]) => `${name}=${value}`);
  const where = labels.length > 0 ? ` on one node with ${labels.join(', ')}` : ' on one node';
  const most = mostOnOneNode(nodes.list(), profile);
  const has =
    most === undefined ? 'no such node is there now' : most < gpu.count ? `the largest such node has ${most}` : '';
  return `; each replica needs ${gpu.count} ${profile.resourceName}${where} (profile ${gpu.profile})${has ? `: ${has}` : ''}`;
}

function mostOnOneNode(nodes: Iterable<Node>, { nodeSelector, resourceName }: GpuProfile): number | undefined {
  let most: number | undefined;
  for (const { metadata, status } of nodes) {
    if (!Object.entries(nodeSelector).every(([name, value]) => metadata.labels?.[name] === value)) continue;
    most = Math.max(most ?? 0, Number(status?.allocatable?.[resourceName] ?? 0));
  }
  return most;
}
