import { hostsAnnotation } from '../../crds/names.ts';
import type { RoutingPolicy, SpecializedModel } from '../../crds/v1alpha1/kinds.ts';
import type { EngineType } from '../../crds/v1alpha1/specialized-model.ts';
import type { SecretView } from '../../operator/context.ts';
import type { Manifests } from './objects.ts';

/** What stands beside manifests: flags of the command. Names are `NAME`, in any namespace, or `NAMESPACE/NAME`. */
export interface Given {
  /** Origins that answer for a model, by its name. */
  endpoints: ReadonlyMap<string, readonly string[]>;
  /** Engines of models that have no manifest. */
  engines: ReadonlyMap<string, EngineType>;
  /** Values of Secrets, by the Secret's name and then by their key in it. */
  secrets: ReadonlyMap<string, ReadonlyMap<string, string>>;
  /** Address ranges where providers may be, beside public ones. */
  allowedCIDRs: readonly string[];
}

/** Addresses of this machine: providers may be there where a person runs the router by hand. */
export const loopback: readonly string[] = ['127.0.0.0/8', '::1/128'];

/** What is given for a name: for this namespace, else for any. */
export function named<T>(given: ReadonlyMap<string, T>, namespace: string, name: string): T | undefined {
  return given.get(`${namespace}/${name}`) ?? given.get(name);
}

/** The SpecializedModels that a policy sees: those of its namespace, and what is given in place of those that are none. */
export function modelsFor({ metadata: { namespace } }: RoutingPolicy, { models }: Manifests, given: Given) {
  return (name: string): SpecializedModel | undefined => {
    const model = models.get(`${namespace}/${name}`) ?? givenModel(namespace, name, given);
    // Nobody watches it here: it is taken to be ready.
    return model && { ...model, status: { ...model.status, conditions: [ready] } };
  };
}

const ready = {
  type: 'Ready',
  status: 'True',
  reason: 'Ready',
  message: 'taken to be ready',
  lastTransitionTime: '1970-01-01T00:00:00Z',
  observedGeneration: 1,
} as const;

function givenModel(namespace: string, name: string, { endpoints, engines }: Given): SpecializedModel | undefined {
  const engine = named(engines, namespace, name);
  if (engine === undefined && !named(endpoints, namespace, name)) return undefined;
  return {
    apiVersion: 'cadre.dev/v1alpha1',
    kind: 'SpecializedModel',
    metadata: { name, namespace, uid: `${namespace}/${name}`, generation: 1, resourceVersion: '1' },
    spec: { task: 'Generation', engine: { type: engine ?? 'VLLM' }, model: { uri: 'https://localhost/model.gguf' } },
  } as SpecializedModel;
}

/** The Secrets that a policy sees: those of its namespace, each with the values that are given for it. */
export function secretsFor(policy: RoutingPolicy, { secrets }: Manifests, given: Given) {
  const { namespace } = policy.metadata;
  return (name: string): SecretView => {
    const written = secrets.get(`${namespace}/${name}`);
    const values = named(given.secrets, namespace, name);
    if (!written && !values) return { state: 'Missing' };
    const data = [...(written?.values ?? []), ...(values ?? [])].map(([key, value]) => [key, base64(value)] as const);
    const hosts = [written?.annotations[hostsAnnotation], ...(values ? hostsNaming(policy, name) : [])];
    const annotations = { ...written?.annotations, [hostsAnnotation]: hosts.filter(Boolean).join(',') };
    const metadata = { name, namespace, uid: `${namespace}/${name}`, resourceVersion: '1', annotations };
    return { state: 'Present', secret: { apiVersion: 'v1', kind: 'Secret', metadata, data: Object.fromEntries(data) } };
  };
}

/** Whoever gives a value by hand means it for where the policy sends it. */
function hostsNaming({ spec }: RoutingPolicy, secret: string): string[] {
  return spec.backends.flatMap(({ provider }) =>
    provider?.url !== undefined && provider.apiKey?.name === secret ? [new URL(provider.url).host] : [],
  );
}

function base64(text: string): string {
  return Buffer.from(text).toString('base64');
}
