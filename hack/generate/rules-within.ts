import type { Schema } from './structural.ts';

/** A rule of a kind with the field that it blames, as `spec.backends[].name`. */
export interface PlacedRule {
  field: string;
  message: string;
  rule: string;
}

/** Every rule of a kind, in the order of its fields. */
export function rulesWithin(schema: Schema, path = ''): PlacedRule[] {
  const found = (schema['x-kubernetes-validations'] ?? []).map(({ rule, message, fieldPath = '' }) => ({
    field: `${path}${fieldPath}`.replace(/^\./, ''),
    message,
    rule,
  }));
  for (const [name, part] of Object.entries(schema.properties ?? {}))
    found.push(...rulesWithin(part, `${path}.${name}`));
  if (schema.items) found.push(...rulesWithin(schema.items, `${path}[]`));
  return found;
}
