import type { SpecializedModel } from '../../crds/v1alpha1/kinds.ts';
import type { OperatorConfig } from '../config.ts';
import type { Deployment, NetworkPolicy, PodDisruptionBudget, Service, ServiceAccount } from '../context.ts';
import { deployment } from './deployment.ts';
import { podDisruptionBudget } from './disruption-budget.ts';
import { networkPolicy } from './network-policy.ts';
import type { Found } from './pod-template.ts';
import { service } from './service.ts';
import { serviceAccount } from './service-account.ts';

/** Everything that is made for one model. */
export interface ModelObjects {
  serviceAccounts: ServiceAccount;
  networkPolicies: NetworkPolicy;
  services: Service;
  podDisruptionBudgets: PodDisruptionBudget;
  deployments: Deployment;
}

/** The objects of a model whose spec has been found valid; `found` has what it names. */
export function modelObjects(model: SpecializedModel, config: OperatorConfig, found: Found = {}): ModelObjects {
  return {
    serviceAccounts: serviceAccount(model),
    networkPolicies: networkPolicy(model, config),
    services: service(model),
    podDisruptionBudgets: podDisruptionBudget(model),
    deployments: deployment(model, config, found),
  };
}
