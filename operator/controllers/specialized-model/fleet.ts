import { revisionAnnotation } from '../../../crds/names.ts';
import type { Pod } from '../../context.ts';
import { conditionOf, isReady } from './pod-problems.ts';

/** The pods of a model, sorted out. */
export interface Fleet {
  /** Pods that exist and are not on their way out. */
  pods: readonly Pod[];
  ready: readonly Pod[];
  /** Pods of the template that is wanted now, the newest first. */
  current: readonly Pod[];
  /** Pods of an older template. */
  outdated: readonly Pod[];
  /** Pods that no scheduler has looked at yet. */
  unseen: readonly Pod[];
}

/** Sorts pods out. Without a revision, as when the spec is refused, all pods count as current. */
export function fleetOf(all: readonly Pod[], revision: string | undefined): Fleet {
  const pods = all
    .filter(({ metadata, status }) => !metadata.deletionTimestamp && !isOver(status?.phase))
    .sort(newestFirst);
  const isCurrent = ({ metadata }: Pod) =>
    revision === undefined || metadata.annotations?.[revisionAnnotation] === revision;
  return {
    pods,
    ready: pods.filter(isReady),
    current: pods.filter(isCurrent),
    outdated: pods.filter((pod) => !isCurrent(pod)),
    unseen: pods.filter((pod) => conditionOf(pod, 'PodScheduled') === undefined),
  };
}

/** Evicted pods stay as a record; the Deployment has replaced them. */
function isOver(phase: string | undefined): boolean {
  return phase === 'Failed' || phase === 'Succeeded';
}

function newestFirst(a: Pod, b: Pod): number {
  const [x, y] = [a, b].map(({ metadata }) => `${metadata.creationTimestamp ?? ''} ${metadata.name}`);
  return (x ?? '') < (y ?? '') ? 1 : -1;
}
