import type { V1Container } from '@kubernetes/client-node';
import { drainKeyVariable, enginePort, sidecarContainer, sidecarPort, sidecarPortName } from '../../crds/names.ts';
import type { SpecializedModel } from '../../crds/v1alpha1/kinds.ts';
import type { Json } from '../../kube/types.ts';
import type { OperatorConfig } from '../config.ts';
import { drainKey } from './drain-key.ts';
import { restricted } from './security.ts';

/** The native sidecar: the pod is ready when it says that the engine is warm; it relays the metrics, and drains. */
export function sidecar(
  { metadata, spec }: SpecializedModel,
  config: Pick<OperatorConfig, 'image' | 'drain'>,
): Json<V1Container> {
  const { delaySeconds, deadlineSeconds } = config.drain;
  return {
    name: sidecarContainer,
    image: config.image,
    restartPolicy: 'Always',
    args: [
      ['sidecar', '--engine', spec.engine.type, '--model', metadata.name, '--task', spec.task],
      ['--engine-url', `http://127.0.0.1:${enginePort}`, '--port', String(sidecarPort)],
      // Its deadline is for all of the drain, ours for the requests after the delay.
      ['--drain-delay', `${delaySeconds}s`, '--drain-deadline', `${delaySeconds + deadlineSeconds}s`],
    ].flat(),
    env: [{ name: drainKeyVariable, value: drainKey(metadata.uid) }],
    ports: [{ name: sidecarPortName, containerPort: sidecarPort, protocol: 'TCP' }],
    // A share of the CPU that an engine which uses all of it can't starve: late answers would make the pod unready.
    resources: { requests: { cpu: '50m', memory: '64Mi' }, limits: { memory: '256Mi' } },
    readinessProbe: {
      httpGet: { path: '/readyz', port: sidecarPort },
      periodSeconds: 2,
      timeoutSeconds: 2,
      failureThreshold: 3,
    },
    livenessProbe: {
      httpGet: { path: '/healthz', port: sidecarPort },
      periodSeconds: 10,
      timeoutSeconds: 5,
      failureThreshold: 6,
    },
    securityContext: restricted,
  };
}
