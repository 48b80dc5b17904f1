import type { V1Container, V1ResourceRequirements, V1VolumeMount } from '@kubernetes/client-node';
import {
  drainKeyHeader,
  drainPath,
  engineContainer,
  enginePort,
  enginePortName,
  sidecarPort,
} from '../../crds/names.ts';
import type { SpecializedModelSpec } from '../../crds/v1alpha1/specialized-model.ts';
import type { Json } from '../../kube/types.ts';
import type { GpuProfile } from '../config.ts';
import type { EngineContainer } from '../engines/engine.ts';
import { literal } from './literal.ts';
import { restricted } from './security.ts';

/** What a pod gives its engine. */
export interface EngineSurroundings {
  image: string;
  profile: GpuProfile | undefined;
  drainKey: string;
  /** What was loaded, all of it read-only. */
  mounts: Pick<Json<V1VolumeMount>, 'name' | 'mountPath'>[];
}

/** The container of the server that runs the model: what its engine says, and what is the same for all engines. */
export function engine(
  spec: SpecializedModelSpec,
  own: EngineContainer,
  { image, profile, drainKey, mounts }: EngineSurroundings,
): Json<V1Container> {
  return {
    name: engineContainer,
    image,
    command: own.command,
    args: [...own.args, ...(spec.engine.args ?? []).map(literal)],
    env: variables(own.env, spec.engine.env ?? []),
    ports: [{ name: enginePortName, containerPort: enginePort, protocol: 'TCP' }],
    resources: requirements(spec, profile),
    startupProbe: own.startupProbe,
    livenessProbe: own.livenessProbe,
    // Neither engine finishes what is in flight when it is told to stop.
    lifecycle: {
      preStop: {
        httpGet: {
          path: drainPath,
          port: sidecarPort,
          httpHeaders: [{ name: drainKeyHeader, value: drainKey }],
        },
      },
    },
    // The last lines of its log become its last words in the status.
    terminationMessagePolicy: 'FallbackToLogsOnError',
    volumeMounts: [
      ...mounts.map((mount) => ({ ...mount, readOnly: true })),
      { name: 'tmp', mountPath: '/tmp' },
      ...own.volumeMounts,
    ],
    securityContext: restricted,
  };
}

/** The user's variables win over ours; those that must not are refused before. Sorted, as their order means nothing. */
function variables(ours: EngineContainer['env'], users: EngineContainer['env']): EngineContainer['env'] {
  const values = new Map(ours.map(({ name, value }) => [name, value]));
  for (const { name, value } of users) values.set(name, literal(value));
  return [...values].map(([name, value]) => ({ name, value })).sort((a, b) => (a.name < b.name ? -1 : 1));
}

function requirements(
  { resources, gpu }: SpecializedModelSpec,
  profile: GpuProfile | undefined,
): Json<V1ResourceRequirements> {
  const requests = quantities(resources?.requests);
  const limits = {
    ...quantities(resources?.limits),
    ...(gpu && profile ? { [profile.resourceName]: String(gpu.count) } : {}),
  };
  return {
    ...(Object.keys(requests).length > 0 ? { requests } : {}),
    ...(Object.keys(limits).length > 0 ? { limits } : {}),
  };
}

function quantities(list: Record<string, string | number | undefined> | undefined): Record<string, string> {
  return Object.fromEntries(
    Object.entries(list ?? {}).flatMap(([name, value]) => (value === undefined ? [] : [[name, String(value)]])),
  );
}
