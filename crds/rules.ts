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
  /** The field to blame, relative to the schema, e.g. `.revision`; the schema itself when absent. */
  fieldPath?: string;
  /** For a rule about one string's form: its pattern, which editors can check while one types. */
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

/** A string of one form. The pattern must mean the same in RE2 and in JavaScript with the flag `u`. */
export function matching(pattern: string, message: string): Rule<string> {
  const expression = new RegExp(pattern, 'u');
  return { rule: `self.matches(r'${pattern}')`, holds: (self) => expression.test(self), message, pattern };
}

/** The message of each rule that does not hold somewhere in a value of the right shape, with the field's path. */
export function problemsByRules(schema: z.ZodType, value: unknown, path: string): string[] {
  if (value === undefined) return [];
  const own = rulesOf(schema)
    .filter((rule) => !rule.holds(value))
    .map(({ message, fieldPath = '' }) => `${`${path}${fieldPath}`.replace(/^\./, '')}: ${message}`);
  const parts = partsOf(schema, value, path);
  return [...own, ...repeatedKeys(schema, value, path), ...parts.flatMap((part) => problemsByRules(...part))];
}

/** The schemas within a schema, each with its part of the value and the path of that. */
function partsOf(schema: z.ZodType, value: unknown, path: string): [z.ZodType, unknown, string][] {
  const { innerType, element, shape } = definition(schema);
  if (innerType) return [[innerType, value, path]];
  if (element) return (value as unknown[]).map((item, index) => [element, item, `${path}[${index}]`]);
  return Object.entries(shape ?? {}).map(([key, part]) => [
    part,
    (value as Record<string, unknown>)[key],
    path ? `${path}.${key}` : key,
  ]);
}

/** What the API server refuses in lists whose entries have a key. */
function repeatedKeys(schema: z.ZodType, value: unknown, path: string): string[] {
  const keys = schema.meta()?.['x-kubernetes-list-map-keys'] as string[] | undefined;
  if (!keys || !Array.isArray(value)) return [];
  const seen = new Set<string>();
  return (value as Record<string, unknown>[]).flatMap((item, index) => {
    const key = JSON.stringify(keys.map((name) => item[name]));
    if (!seen.has(key)) {
      seen.add(key);
      return [];
    }
    return [`${path}[${index}]: ${keys.join(', ')} must differ from those of the other entries`];
  });
}

interface Definition {
  innerType?: z.ZodType;
  element?: z.ZodType;
  shape?: Record<string, z.ZodType>;
}

function definition(schema: z.ZodType): Definition {
  return schema.def as Definition;
}
