import type { RoutingPolicyStatus } from '../../../crds/v1alpha1/routing-policy.ts';
import type { EventNote } from '../../../kube/events.ts';

/** The event of a change of status, if it is worth one: the policy's readiness turned, or the reason why it is not ready. */
export function eventOf(before: RoutingPolicyStatus | undefined, after: RoutingPolicyStatus): EventNote | undefined {
  const [was, is] = [readyOf(before), readyOf(after)];
  if (!is || is.status === 'Unknown' || (was?.status === is.status && was.reason === is.reason)) return undefined;
  const type = is.status === 'True' ? 'Normal' : 'Warning';
  return { type, reason: is.reason, action: 'Compile', note: is.message };
}

function readyOf(status: RoutingPolicyStatus | undefined) {
  return status?.conditions?.find(({ type }) => type === 'Ready');
}
