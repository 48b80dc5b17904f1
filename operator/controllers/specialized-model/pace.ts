import type { SpecializedModel } from '../../../crds/v1alpha1/kinds.ts';
import type { SpecializedModelStatus } from '../../../crds/v1alpha1/specialized-model.ts';
import type { Report } from './status.ts';

/** A new model's pods are usually there by then, in milliseconds: the first status can say more than that it waits. */
const firstWordMs = 2000;
/** A new pod usually has a node, or a reason why not, by then. */
const unseenPodMs = 10_000;

/**
 * How many milliseconds to wait before a status is written that says no more than that pods are awaited: what it waits for
 * brings the model back before that. Undefined: write it now. This keeps a model at two writes until it has settled.
 */
export function holdMs(
  { metadata, status: before }: SpecializedModel,
  report: Report,
  now: number,
): number | undefined {
  if (!isWaiting(report.status)) return undefined;
  if (before?.observedGeneration === undefined) return remaining(metadata.creationTimestamp, firstWordMs, now);
  if (before.observedGeneration !== metadata.generation || !isWaiting(before)) return undefined;
  return remaining(report.fleet.unseen[0]?.metadata.creationTimestamp, unseenPodMs, now);
}

function isWaiting(status: SpecializedModelStatus): boolean {
  return status.conditions?.some(({ type, reason }) => type === 'Reconciling' && reason === 'Progressing') ?? false;
}

/** Undefined when the time is over, or when the clocks of this machine and the API server differ too much to tell. */
function remaining(since: string | undefined, ms: number, now: number): number | undefined {
  const age = now - Date.parse(since ?? '');
  return age > -1000 && age < ms ? Math.min(ms, ms - age) : undefined;
}
