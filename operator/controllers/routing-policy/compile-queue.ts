import { parseDuration } from '../../../crds/duration.ts';
import { parseQuantity } from '../../../crds/quantity.ts';
import type { Route } from '../../../crds/route-table.ts';
import type { RoutingPolicySpec } from '../../../crds/v1alpha1/routing-policy.ts';

/** How requests wait for a place at a backend. Absent: none does. */
export function compileQueue(queue: RoutingPolicySpec['queue']): Pick<Route, 'queue'> {
  if (!queue) return {};
  const { maxRequests, maxBytes, maxWait, onDeadline } = queue;
  return { queue: { maxRequests, maxBytes: parseQuantity(maxBytes), maxWaitMs: parseDuration(maxWait), onDeadline } };
}
