import type { Condition } from '../../../crds/schema.ts';
import type { SpecializedModelStatus } from '../../../crds/v1alpha1/specialized-model.ts';
import type { EventNote } from '../../../kube/events.ts';

/**
 * The event of a change of status, if it is worth one: the model began or ceased to serve, or got stuck. Ordinary
 * progress is none, and a model that fails at once in several ways has one.
 */
export function eventOf(
  before: SpecializedModelStatus | undefined,
  after: SpecializedModelStatus,
): EventNote | undefined {
  const turned = (type: string) => {
    const [was, is] = [find(before, type), find(after, type)];
    return is && (was?.status !== is.status || was.reason !== is.reason) ? is : undefined;
  };
  const refused = turned('Accepted');
  if (refused?.status === 'False') return warning(refused);
  const stalled = turned('Stalled');
  if (stalled) return warning(stalled);
  const [wasReady, ready] = [find(before, 'Ready'), find(after, 'Ready')];
  if (!ready || wasReady?.status === ready.status) return undefined;
  if (ready.status === 'True') return { type: 'Normal', ...telling(ready) };
  return wasReady?.status === 'True' ? warning(ready) : undefined;
}

function find(status: SpecializedModelStatus | undefined, type: string): Condition | undefined {
  return status?.conditions?.find((condition) => condition.type === type);
}

function warning(condition: Condition): EventNote {
  return { type: 'Warning', ...telling(condition) };
}

function telling({ reason, message }: Condition): Omit<EventNote, 'type'> {
  return { reason, action: 'Reconcile', note: message };
}
