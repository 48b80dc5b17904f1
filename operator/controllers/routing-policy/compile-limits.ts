import type { Route } from '../../../crds/route-table.ts';
import type { RoutingPolicy } from '../../../crds/v1alpha1/kinds.ts';

/** Limits as the router reads them; nothing where the policy has none. */
export function compileLimits(limits: RoutingPolicy['spec']['limits']): Pick<Route, 'limits'> {
  if (!limits) return {};
  const { requestsPerMinute, tokensPerMinute, per } = limits;
  return {
    limits: {
      ...(requestsPerMinute !== undefined && { requestsPerMinute }),
      ...(tokensPerMinute !== undefined && { tokensPerMinute }),
      per,
    },
  };
}
