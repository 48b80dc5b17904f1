import { parseDuration } from '../../../crds/duration.ts';
import { hostsAnnotation } from '../../../crds/names.ts';
import { parseRoutingPolicy } from '../../../crds/parse.ts';
import {
  type ModelBackend,
  maxRouteBytes,
  type ProviderBackend,
  type Route,
  type RouteBackend,
  routeSchema,
  routeVersion,
} from '../../../crds/route-table.ts';
import type { RoutingPolicy, SpecializedModel } from '../../../crds/v1alpha1/kinds.ts';
import { type Price, perToken } from '../../../economics/price.ts';
import { keyOf } from '../../../kube/types.ts';
import type { OperatorConfig } from '../../config.ts';
import type { Secret, SecretView } from '../../context.ts';
import { type ClientKeys, clientKeys } from './access.ts';
import { compileEscalation } from './compile-escalation.ts';
import { compileHedge } from './compile-hedge.ts';
import { compileLimits } from './compile-limits.ts';
import { compileOutput, outputProblems } from './compile-output.ts';
import { compileQueue } from './compile-queue.ts';
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

/** What a route may go on with while the policy's spec is wrong. */
export interface Permitted {
  /** Who may call, as far as that can be resolved now. */
  access: Route['access'];
  /** Why a provider of an earlier route may no longer be asked; undefined when it may. */
  objection: (backend: ProviderBackend) => PolicyReason | undefined;
}

/** What became of a policy. `problems` stand in the order of the spec. */
export type Compilation =
  /** A Secret has not been read yet, or cannot be: nothing may be taken away for that. */
  | { outcome: 'Waiting'; problems: Problem[] }
  /** The spec is wrong: the last good route stays, less what is no longer permitted. */
  | { outcome: 'Refused'; problems: Problem[]; permitted?: Permitted }
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
  const refusals = [...backends.flatMap(({ refusal }) => (refusal ? [refusal] : [])), ...outputProblems(policy.spec)];
  const unread = problems.some(({ reason }) => reason === 'SecretUnreadable');
  if (unread || keys.waiting || taken.waiting || backends.some(({ waiting }) => waiting)) {
    return { outcome: 'Waiting', problems: [...refusals, ...problems] };
  }
  const access = compileAccess(policy, keys, taken, sources.config);
  const refused = (reasons: Problem[]): Compilation => ({
    outcome: 'Refused',
    problems: [...reasons, ...problems],
    permitted: { access, objection: objections(backends, sources.config) },
  });
  if (refusals.length > 0) return refused(refusals);
  const route = assemble(policy, { access, backends: backends.map(({ compiled }) => compiled) });
  const bytes = Buffer.byteLength(JSON.stringify(route));
  if (bytes > maxBytes) {
    const message = `spec: the compiled route has ${bytes} bytes and may have ${maxBytes}; use fewer or shorter labels, keys or backends`;
    return refused([{ reason: 'RouteTooLarge', message }]);
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
  /** The provider's key, with the Secret that it is from. */
  key?: { value: string; secret: Secret };
}

/** A key may be used while the policy names it and its Secret is shared with the host; a host while it is allowed. */
function objections(backends: readonly CompiledBackend[], { providers }: Sources['config']): Permitted['objection'] {
  const keys = backends.flatMap(({ key }) => (key ? [key] : []));
  return ({ baseUrl, apiKey }) => {
    const address = providerAddress({ type: 'OpenAICompatible', url: baseUrl, model: '' }, providers);
    if (!address.ok) return address.reason;
    if (apiKey === undefined) return undefined;
    const key = keys.find(({ value }) => value === apiKey);
    if (!key) return 'SecretNotFound';
    return isShared(key.secret, address.url) ? undefined : 'SecretNotShared';
  };
}

type Backend = RoutingPolicy['spec']['backends'][number];

function compileBackend(backend: Backend, sources: Sources): CompiledBackend {
  const found = backend.provider
    ? compileProvider(backend.name, backend.provider, sources)
    : compileModel(backend.name, backend.modelRef?.name ?? '', sources);
  const { price, maxConcurrency } = backend;
  if (found.compiled.kind === 'Unavailable') return found;
  const further = {
    ...(price && { price: compilePrice(price) }),
    ...(maxConcurrency !== undefined && { maxConcurrency }),
  };
  return { ...found, compiled: { ...found.compiled, ...further } };
}

function compilePrice({
  inputPerMillion,
  outputPerMillion,
  cachedInputPerMillion,
  cacheWritePerMillion,
}: NonNullable<Backend['price']>): Price {
  return {
    input: perToken(inputPerMillion),
    output: perToken(outputPerMillion),
    ...(cachedInputPerMillion !== undefined && { cachedInput: perToken(cachedInputPerMillion) }),
    ...(cacheWritePerMillion !== undefined && { cacheWrite: perToken(cacheWritePerMillion) }),
  };
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
    ...classification(found),
    // Engines keep what they have read of a text; a prompt to classify or extract from is short, and seldom comes again.
    ...(found.spec.task === 'Generation' && { byPrompt: true }),
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
  const refusal: Problem | undefined = address.ok
    ? undefined
    : { reason: address.reason, message: `${field}.url: ${address.message}` };
  const compiled = (apiKey?: { value: string }): { compiled: RouteBackend } => {
    if (!address.ok) return unavailable(name, address.reason);
    const asked = {
      name,
      kind: 'Provider',
      dialect: provider.type === 'Anthropic' ? 'Anthropic' : 'OpenAI',
      baseUrl: address.baseUrl,
      servedModel: provider.model,
      ...(provider.maxTokens !== undefined && { maxTokens: provider.maxTokens }),
    } as const;
    return { compiled: apiKey ? { ...asked, apiKey: apiKey.value } : asked };
  };
  const noted = refusal && { refusal };
  if (!provider.apiKey) return { ...compiled(), ...noted };
  const view = secret(provider.apiKey.name);
  const use = { field: `${field}.apiKey`, namespace, name: provider.apiKey.name, key: provider.apiKey.key };
  const found = secretValue(view, use);
  if (found.state === 'Waiting') return { ...unavailable(name, 'SecretUnreadable'), ...noted, waiting: true };
  if (found.state === 'Wrong') return { ...unavailable(name, found.problem.reason), ...noted, problem: found.problem };
  const key = view.state === 'Present' ? { value: found.value, secret: view.secret } : undefined;
  if (address.ok && key && !isShared(key.secret, address.url)) {
    const { host } = address.url;
    const message = `${use.field}: Secret ${use.name} does not say that it may be sent to ${host}; annotate it with ${hostsAnnotation}: ${host}`;
    return { ...unavailable(name, 'SecretNotShared'), problem: { reason: 'SecretNotShared', message }, key };
  }
  return { ...compiled(key), ...noted, ...(key && { key }) };
}

function unavailable(name: string, reason: PolicyReason): { compiled: RouteBackend } {
  return { compiled: { name, kind: 'Unavailable', reason } };
}

/** Whether any request can come to this backend. */
function isAsked({ spec }: RoutingPolicy, backend: string): boolean {
  const splits = [spec.split, ...(spec.rules ?? []).map(({ split }) => split)];
  const weighted = splits.flat().some((share) => share.backend === backend && share.weight > 0);
  const isNext = spec.escalation?.steps.some(({ to }) => to === backend) ?? false;
  return weighted || isNext || (spec.fallback ?? []).includes(backend);
}

/** By these arguments vLLM serves the classification head of a model, at /classify: the two forms of each. */
const classifying = [
  ['--runner', 'pooling'],
  ['--convert', 'classify'],
] as const;

/** How a model is called that classifies and writes no text. */
function classification({ spec: { task, engine, model } }: SpecializedModel): Pick<ModelBackend, 'classify'> {
  const args = engine.args ?? [];
  const isSet = ([flag, value]: readonly [string, string]): boolean =>
    args.includes(`${flag}=${value}`) || args.some((arg, at) => arg === flag && args[at + 1] === value);
  if (task !== 'Classification' || engine.type !== 'VLLM' || !classifying.some(isSet)) return {};
  return { classify: model.promptTemplate ? 'Messages' : 'Text' };
}

function assemble(policy: RoutingPolicy, resolved: Pick<Route, 'access' | 'backends'>): Route {
  const { namespace, name, uid, generation } = policy.metadata;
  const { rules, split, sticky, fallback = [], output, limits, timeouts } = policy.spec;
  return routeSchema.parse({
    version: routeVersion,
    policy: { namespace, name, uid, generation },
    model: shortNameOf(policy),
    ...resolved,
    ...(rules && rules.length > 0 && { rules }),
    split,
    ...(sticky && { sticky }),
    fallback,
    output: compileOutput(output),
    ...compileEscalation(policy.spec),
    ...compileLimits(limits),
    ...compileQueue(policy.spec.queue),
    ...compileHedge(policy.spec),
    timeouts: {
      firstByteMs: parseDuration(timeouts.firstByte),
      idleMs: parseDuration(timeouts.idle),
      totalMs: parseDuration(timeouts.total),
    },
  } satisfies Route);
}
