import { z } from 'zod';
import { problemsByRules } from './rules.ts';
import type { RoutingPolicy, SpecializedModel } from './v1alpha1/kinds.ts';
import { routingPolicy } from './v1alpha1/routing-policy.ts';
import { specializedModel } from './v1alpha1/specialized-model.ts';

/** An object as its kind, with its defaults, or what is wrong with it: one sentence each, in the words of the CRD. */
export type Parsed<T> = { ok: true; value: T } | { ok: false; problems: string[] };

// Status is the operator's own and not checked. Made once: zod compiles a schema when it is first used.
const model = { checked: specializedModel.pick({ metadata: true, spec: true }), rules: specializedModel };
const policy = { checked: routingPolicy.pick({ metadata: true, spec: true }), rules: routingPolicy };
const kubernetesObject = z.looseObject({ metadata: z.looseObject({ name: z.string() }) });

/**
 * A SpecializedModel from the API server, checked again: it may have been stored under an older CRD with looser rules.
 * Fields that the schema does not know are dropped, status is taken as it is. Never throws.
 */
export function parseSpecializedModel(object: unknown): Parsed<SpecializedModel> {
  return parseKind<SpecializedModel>(object, model);
}

/** A RoutingPolicy from the API server, checked again as `parseSpecializedModel` does. Never throws. */
export function parseRoutingPolicy(object: unknown): Parsed<RoutingPolicy> {
  return parseKind<RoutingPolicy>(object, policy);
}

function parseKind<T extends { spec: unknown }>(
  object: unknown,
  { checked, rules }: typeof model | typeof policy,
): Parsed<T> {
  const envelope = kubernetesObject.safeParse(object);
  if (!envelope.success) return { ok: false, problems: ['not an object of Kubernetes: it has no metadata.name'] };
  const { metadata } = envelope.data;
  const parsed = checked.safeParse({ metadata, spec: envelope.data['spec'] });
  if (!parsed.success) {
    return { ok: false, problems: parsed.error.issues.map(({ path, message }) => `${fieldPath(path)}: ${message}`) };
  }
  const problems = problemsByRules(rules, parsed.data, '');
  if (problems.length > 0) return { ok: false, problems };
  return { ok: true, value: { ...envelope.data, spec: parsed.data.spec } as unknown as T };
}

function fieldPath(path: readonly PropertyKey[]): string {
  return path
    .map((key) => (typeof key === 'number' ? `[${key}]` : `.${String(key)}`))
    .join('')
    .replace(/^\./, '');
}
