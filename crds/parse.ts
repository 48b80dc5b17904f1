import type { z } from 'zod';
import { problemsByRules } from './rules.ts';
import type { RoutingPolicy, SpecializedModel } from './v1alpha1/kinds.ts';
import { routingPolicySpec } from './v1alpha1/routing-policy.ts';
import { specializedModelSpec } from './v1alpha1/specialized-model.ts';

/** An object as its kind, with its defaults, or what is wrong with it: one sentence each, in the words of the CRD. */
export type Parsed<T> = { ok: true; value: T } | { ok: false; problems: string[] };

/**
 * A SpecializedModel from the API server, checked again: it may have been stored under an older CRD, with looser rules.
 * Never throws.
 */
export function parseSpecializedModel(object: unknown): Parsed<SpecializedModel> {
  return parseKind<SpecializedModel>(object, specializedModelSpec);
}

/** A RoutingPolicy from the API server, checked again as `parseSpecializedModel` does. Never throws. */
export function parseRoutingPolicy(object: unknown): Parsed<RoutingPolicy> {
  return parseKind<RoutingPolicy>(object, routingPolicySpec);
}

function parseKind<T extends { spec: unknown }>(object: unknown, schema: z.ZodType): Parsed<T> {
  if (!isRecord(object) || !isRecord(object['metadata'])) return { ok: false, problems: ['not a Kubernetes object'] };
  const parsed = schema.safeParse(object['spec'], { reportInput: false });
  if (!parsed.success) {
    return { ok: false, problems: parsed.error.issues.map(({ path, message }) => `${fieldPath(path)}: ${message}`) };
  }
  const problems = problemsByRules(schema, parsed.data, 'spec');
  if (problems.length > 0) return { ok: false, problems };
  return { ok: true, value: { ...object, spec: parsed.data } as unknown as T };
}

function fieldPath(path: readonly PropertyKey[]): string {
  return path.reduce<string>(
    (text, key) => (typeof key === 'number' ? `${text}[${key}]` : `${text}.${String(key)}`),
    'spec',
  );
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
