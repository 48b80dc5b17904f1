import { apiVersion } from '../crds/names.ts';
import type { Resource } from '../kube/types.ts';

/** Where our kinds live in the API. */
export const customResources = {
  models: { apiVersion, kind: 'SpecializedModel', plural: 'specializedmodels', namespaced: true },
  policies: { apiVersion, kind: 'RoutingPolicy', plural: 'routingpolicies', namespaced: true },
} as const satisfies Record<string, Resource>;
