import type { V1Probe } from '@kubernetes/client-node';
import { enginePort } from '../../crds/names.ts';
import type { Json } from '../../kube/types.ts';

/** Asks `/health` until the engine has loaded its model, for half an hour at most. */
export function startupProbe(periodSeconds: number): Json<V1Probe> {
  return { ...health(periodSeconds), failureThreshold: Math.ceil(1800 / periodSeconds) };
}

/** Restarts an engine that does not answer for a minute: on a starved node an answer can take long. */
export function livenessProbe(): Json<V1Probe> {
  return { ...health(10), timeoutSeconds: 5, failureThreshold: 6 };
}

function health(periodSeconds: number): Json<V1Probe> {
  return { httpGet: { path: '/health', port: enginePort }, periodSeconds, timeoutSeconds: 2 };
}
