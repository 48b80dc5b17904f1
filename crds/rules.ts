import type { z } from 'zod';

/**
 * One rule of the API, twice: `rule` in CEL, which the API server evaluates, and `holds`, the same in TypeScript, by
 * which the operator checks objects that were stored before the rule. The tests hold both against the same cases.
 */
export interface Rule<T = unknown> {
  /** CEL. `self` is the value of the schema that carries the rule. */
  rule: string;
  holds(self: T): boolean;
  /** Names the field and the cure. */
  message: string;
  /** Where the error is shown, relative to the schema, e.g. `.revision`. */
  fieldPath?: string;
  /** For a rule about one string's form: its pattern, for the editors' JSON schema. */
  pattern?: string;
}

const rulesKey = 'x-kubernetes-validations';

/** Adds rules to a schema. They replace zod's `.refine()`, which would not reach the CRD. */
export function withRules<T extends z.ZodType>(schema: T, ...rules: Rule<NonNullable<z.infer<T>>>[]): T {
  return schema.meta({ ...schema.meta(), [rulesKey]: [...rulesOf(schema), ...rules] });
}

/** The rules that a schema itself carries. */
export function rulesOf(schema: z.ZodType): Rule[] {
  return (schema.meta()?.[rulesKey] ?? []) as Rule[];
}

/** The message of each rule that does not hold somewhere in a value of the right shape, with the field's path. */
export function problemsByRules(schema: z.ZodType, value: unknown, path: string): string[] {
  if (value === undefined) return [];
  const own = rulesOf(schema)
    .filter((rule) => !rule.holds(value))
    .map(({ message, fieldPath }) => `${path}${fieldPath ?? ''}: ${message}`);
  return [...own, ...children(schema, value, path).flatMap(([child, part, at]) => problemsByRules(child, part, at))];
}

function children(schema: z.ZodType, value: unknown, path: string): [z.ZodType, unknown, string][] {
  const { def } = schema as z.ZodType & {
    def: { type: string; innerType?: z.ZodType; element?: z.ZodType; shape?: Record<string, z.ZodType> };
  };
  if (def.innerType) return [[def.innerType, value, path]];
  if (def.element)
    return (value as unknown[]).map((item, index) => [def.element as z.ZodType, item, `${path}[${index}]`]);
  if (def.shape) {
    return Object.entries(def.shape).map(([key, child]) => [
      child,
      (value as Record<string, unknown>)[key],
      `${path}.${key}`,
    ]);
  }
  return [];
}
