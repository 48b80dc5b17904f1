import type { Route } from '../../crds/route-table.ts';
import type { RoutingPolicy } from '../../crds/v1alpha1/kinds.ts';
import { asNamesake, compileRoute, type Sources } from '../../operator/controllers/routing-policy/compile.ts';
import { shortNameOf } from '../../operator/controllers/routing-policy/names.ts';
import { type Given, modelsFor, named, secretsFor } from './given.ts';
import type { Manifests } from './objects.ts';

/** What became of manifests. */
export interface CompiledManifests {
  /** By the names of their policies; `created`: seconds since the epoch, where the manifest tells it. */
  routes: { route: Route; created: number | undefined }[];
  /** Why these manifests can't be used: one sentence each, with file, object and field. */
  refusals: string[];
  /** What is missing or weak, and makes a key or a backend of a policy do nothing. */
  warnings: string[];
}

/** Compiles the policies among manifests as the operator does. Pure. */
export function compileManifests(manifests: Manifests, given: Given): CompiledManifests {
  const result: CompiledManifests = { routes: [], refusals: [...manifests.problems], warnings: [] };
  const all = [...manifests.policies].toSorted(([a], [b]) => (a < b ? -1 : 1));
  const config: Sources['config'] = {
    providers: { allowedHosts: [], allowedCIDRs: [...given.allowedCIDRs] },
    // Whoever runs this owns every name.
    openShortNames: all.map(([key]) => key),
  };
  const namesake = (other: RoutingPolicy) => asNamesake(other, secretsFor(other, manifests, given), config);
  for (const [key, policy] of all) {
    const others = all.filter(([name, other]) => name !== key && shortNameOf(other) === shortNameOf(policy));
    const compiled = compileRoute({
      policy,
      secret: secretsFor(policy, manifests, given),
      model: modelsFor(policy, manifests, given),
      namesakes: others.map(([, other]) => namesake(other)),
      config,
    });
    const place = manifests.places.get(`RoutingPolicy ${key}`) ?? '';
    const told = compiled.problems.map(({ message }) => `${place}: RoutingPolicy ${key}: ${message}`);
    if (compiled.outcome !== 'Compiled') {
      result.refusals.push(...told);
      continue;
    }
    result.warnings.push(...told);
    const created = Math.floor(Date.parse(policy.metadata.creationTimestamp ?? '') / 1000);
    result.routes.push({ route: compiled.route, created: Number.isFinite(created) ? created : undefined });
  }
  return result;
}

/** Endpoints of the models that routes name, by `namespace/model`, and what is odd about those that are given. */
export function endpointsOf(routes: readonly Route[], { endpoints }: Given) {
  const found = new Map<string, readonly string[]>();
  const warnings = new Set<string>();
  const unused = new Set(endpoints.keys());
  for (const { backends, policy } of routes) {
    for (const backend of backends) {
      if (backend.kind !== 'Model') continue;
      const { namespace, model, name } = backend;
      const own = named(endpoints, namespace, model);
      if (own) found.set(`${namespace}/${model}`, own);
      else {
        const cure = `its requests go by fallback; give --endpoint ${model}=URL`;
        warnings.add(`RoutingPolicy ${policy.namespace}/${policy.name}: backend ${name} has no endpoint: ${cure}`);
      }
      unused.delete(model);
      unused.delete(`${namespace}/${model}`);
    }
  }
  for (const name of unused) warnings.add(`--endpoint ${name}=…: no policy names a SpecializedModel ${name}`);
  return { endpoints: found, warnings: [...warnings] };
}
