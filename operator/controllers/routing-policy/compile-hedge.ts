import { parseDuration } from '../../../crds/duration.ts';
import type { Route } from '../../../crds/route-table.ts';
import type { RoutingPolicy } from '../../../crds/v1alpha1/kinds.ts';

/** Hedging as the router reads it. */
export function compileHedge({ hedge }: RoutingPolicy['spec']): Pick<Route, 'hedge'> {
  return hedge ? { hedge: { afterMs: parseDuration(hedge.after), maxRate: Number(hedge.maxRate) } } : {};
}
