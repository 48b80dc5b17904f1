import { parseDuration } from '../../../crds/duration.ts';
import { hostsAnnotation } from '../../../crds/names.ts';
import { parseRoutingPolicy } from '../../../crds/parse.ts';
import { maxRouteBytes, type Route, type RouteBackend, routeSchema, routeVersion } from '../../../crds/route-table.ts';
import type { RoutingPolicy, SpecializedModel } from '../../../crds/v1alpha1/kinds.ts';
import { keyOf } from '../../../kube/types.ts';
import type { OperatorConfig } from '../../config.ts';
import type { SecretView } from '../../context.ts';
import { type ClientKeys, clientKeys } from './access.ts';
import { type Namesake, shortNameOf, type TakenNames, takenNames } from './names.ts';
import { isShared, type Provider, providerAddress } from './provider.ts';
import type { PolicyReason, Problem } from './reasons.ts';
import { secretValue } from './secret-value.ts';

/** What a policy's compilation looks at. */
export interface Sources {
  policy: RoutingPolicy;
  /** A Secret of the policy's namespace. */
  secret: (name: string) => SecretView;
  /** A SpecializedModel of the policy's namespace. */
  model: (name: string) => SpecializedModel | undefined;
  /** Other policies with the same short model name, as `asNamesake` makes them. */
  namesakes: readonly Namesake[];
  config: Pick<OperatorConfig, 'providers' | 'openShortNames'>;
}

/** Who may call, and what answers, as far as both can be resolved now. */
export type Resolved = Pick<Route, 'access' | 'backends'>;

/** What became of a policy. `problems` stand in the order of the spec. */
export type Compilation =
  /** A Secret has not been read yet, or can not be: nothing may be taken away for that. */
  | { outcome: 'Waiting'; problems: Problem[] }
  /** The spec is wrong: the last good route stays, less what `resolved` no longer has. */
  | { outcome: 'Refused'; problems: Problem[]; resolved?: Resolved }
  /** What the problems name is left out of the route, or unavailable in it. */
  | { outcome: 'Compiled'; problems: Problem[]; route: Route };

/** Compiles a policy to what the router needs: a route of at most `maxBytes` as JSON. Pure. */
export function compileRoute(sources: Sources, maxBytes = maxRouteBytes): Compilation {
  const parsed = parseRoutingPolicy(sources.policy);
  if (!parsed.ok) {
    return { outcome: 'Refused', problems: parsed.problems.map((message) => ({ reason: 'InvalidSpec', message })) };
  }
  const policy = parsed.value;
  const keys = clientKeys(policy, sources.secret);
  const taken = takenNames(policy, sources.namesakes);
  const backends = policy.spec.backends.map((backend) => compileBackend(backend, { ...sources, policy }));
  const problems = [
    ...keys.problems,
    ...nameProblems(policy, keys, taken, sources.config),
    ...backends.flatMap(({ problem }) => (problem ? [problem] : [])),
  ];
  const refusals = backends.flatMap(({ refusal }) => (refusal ? [refusal] : []));
  const unread = problems.some(({ reason }) => reason === 'SecretUnreadable');
  if (unread || keys.waiting || taken.waiting || backends.some(({ waiting }) => waiting)) {
    return { outcome: 'Waiting', problems: [...refusals, ...problems] };
  }
  const resolved: Resolved = {
    access: compileAccess(policy, keys, taken, sources.config),
    backends: backends.map(({ compiled }) => compiled),
  };
  if (refusals.length > 0) return { outcome: 'Refused', problems: [...refusals, ...problems], resolved };
  const route = assemble(policy, resolved);
  const bytes = Buffer.byteLength(JSON.stringify(route));
  if (bytes > maxBytes) {
    const message = `spec: the compiled route has ${bytes} bytes and may have ${maxBytes}; use fewer or shorter labels, keys or backends`;
    return { outcome: 'Refused', problems: [{ reason: 'RouteTooLarge', message }, ...problems], resolved };
  }
  return { outcome: 'Compiled', problems, route };
}

/** What another policy needs to know of this one when both have the same short model name. */
export function asNamesake(
  policy: RoutingPolicy,
  secret: (name: string) => SecretView,
  { openShortNames }: Pick<OperatorConfig, 'openShortNames'>,
): Namesake {
  const parsed = parseRoutingPolicy(policy);
  if (!parsed.ok) return { policy, keys: [], waiting: false, open: false };
  const { keys, waiting } = clientKeys(parsed.value, secret);
  const open = parsed.value.spec.access.mode === 'Open' && openShortNames.includes(keyOf(policy));
  return { policy, keys, waiting, open };
}

function compileAccess(
  policy: RoutingPolicy,
  { keys }: ClientKeys,
  taken: TakenNames,
  { openShortNames }: Sources['config'],
): Route['access'] {
  if (policy.spec.access.mode === 'Open') {
    return { mode: 'Open', shortName: openShortNames.includes(keyOf(policy)) && taken.open === undefined };
  }
  return {
    mode: 'Keys',
    keys: keys.map((key) => (taken.byKey.has(key.sha256) ? { ...key, shortName: false } : key)),
  };
}

function nameProblems(
  policy: RoutingPolicy,
  { keys }: ClientKeys,
  taken: TakenNames,
  { openShortNames }: Sources['config'],
): Problem[] {
  const name = shortNameOf(policy);
  const conflict = (field: string, holder: string, whose: string): Problem => ({
    reason: 'NameConflict',
    message: `${field}: for ${whose} the model name ${name} means the older policy ${holder}; choose another spec.model or key, or call this one ${keyOf(policy)}`,
  });
  if (policy.spec.access.mode === 'Open') {
    const granted = openShortNames.includes(keyOf(policy));
    return granted && taken.open !== undefined ? [conflict('spec.model', taken.open, 'callers without key')] : [];
  }
  return keys.flatMap(({ name: key, sha256 }) => {
    const holder = taken.byKey.get(sha256);
    return holder === undefined ? [] : [conflict(`spec.access.keys[${key}]`, holder, 'this key')];
  });
}

interface CompiledBackend {
  compiled: RouteBackend;
  /** The spec is wrong. */
  refusal?: Problem;
  problem?: Problem;
  waiting?: boolean;
}

type Backend = RoutingPolicy['spec']['backends'][number];

function compileBackend(backend: Backend, sources: Sources): CompiledBackend {
  if (backend.provider) return compileProvider(backend.name, backend.provider, sources);
  return compileModel(backend.name, backend.modelRef?.name ?? '', sources);
}

function compileModel(name: string, modelName: string, { policy, model }: Sources): CompiledBackend {
  const { namespace } = policy.metadata;
  const field = `spec.backends[${name}].modelRef`;
  const found = model(modelName);
  if (!found) {
    const message = `${field}: SpecializedModel ${modelName} does not exist in namespace ${namespace}; create it, or name another`;
    return { ...unavailable(name, 'BackendNotFound'), problem: { reason: 'BackendNotFound', message } };
  }
  const compiled: RouteBackend = {
    name,
    kind: 'Model',
    namespace,
    model: modelName,
    engine: found.spec.engine.type,
    task: found.spec.task,
    servedModel: modelName,
  };
  const ready = found.status?.conditions?.find(({ type }) => type === 'Ready');
  if (ready?.status === 'True' || !isAsked(policy, name)) return { compiled };
  const why = ready ? ` (${ready.reason})` : '';
  const message = `${field}: SpecializedModel ${modelName} is not ready${why}; see its conditions`;
  return { compiled, problem: { reason: 'BackendNotReady', message } };
}

function compileProvider(name: string, provider: Provider, { policy, secret, config }: Sources): CompiledBackend {
  const { namespace } = policy.metadata;
  const field = `spec.backends[${name}].provider`;
  const address = providerAddress(provider, config.providers);
  if (!address.ok) {
    const refusal: Problem = { reason: address.reason, message: `${field}.url: ${address.message}` };
    return { ...unavailable(name, refusal.reason), refusal };
  }
  const { url, baseUrl } = address;
  const compiled: RouteBackend = { name, kind: 'Provider', dialect: 'OpenAI', baseUrl, servedModel: provider.model };
  if (!provider.apiKey) return { compiled };
  const view = secret(provider.apiKey.name);
  const use = { field: `${field}.apiKey`, namespace, name: provider.apiKey.name, key: provider.apiKey.key };
  const found = secretValue(view, use);
  if (found.state === 'Waiting') return { ...unavailable(name, 'SecretUnreadable'), waiting: true };
  if (found.state === 'Wrong') return { ...unavailable(name, found.problem.reason), problem: found.problem };
  if (view.state === 'Present' && !isShared(view.secret, url)) {
    const message = `${use.field}: Secret ${use.name} does not say that it may be sent to ${url.host}; annotate it with ${hostsAnnotation}: ${url.host}`;
    return { ...unavailable(name, 'SecretNotShared'), problem: { reason: 'SecretNotShared', message } };
  }
  return { compiled: { ...compiled, apiKey: found.value } };
}

function unavailable(name: string, reason: PolicyReason): { compiled: RouteBackend } {
  return { compiled: { name, kind: 'Unavailable', reason } };
}

/** Whether any request can come to this backend. */
function isAsked({ spec }: RoutingPolicy, backend: string): boolean {
  const weighted = spec.split.some((share) => share.backend === backend && share.weight > 0);
  return weighted || (spec.fallback ?? []).includes(backend);
}

function assemble(policy: RoutingPolicy, resolved: Resolved): Route {
  const { namespace, name, uid, generation } = policy.metadata;
  const { split, fallback = [], output, timeouts } = policy.spec;
  const labels = output?.labels?.map((label) => label.name);
  return routeSchema.parse({
    version: routeVersion,
    policy: { namespace, name, uid, generation },
    model: shortNameOf(policy),
    ...resolved,
    split: split.map(({ backend, weight }) => ({ backend, weight })),
    fallback,
    output: labels ? { labels } : {},
    timeouts: {
      firstByteMs: parseDuration(timeouts.firstByte),
      idleMs: parseDuration(timeouts.idle),
      totalMs: parseDuration(timeouts.total),
    },
  } satisfies Route);
}
