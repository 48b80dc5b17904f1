import { z } from 'zod';
import { rulesOf } from '../../crds/rules.ts';
import { type Schema, type SchemaRule, structuralProblems, zodProblems } from './structural.ts';

const int32 = { minimum: -(2 ** 31), maximum: 2 ** 31 - 1 };

/** Keys in the order in which a reader wants them; the rest follows as it came. */
const order = ['description', 'type', 'format', 'default', 'enum', 'pattern', 'required', 'properties', 'items'];

/**
 * The structural schema of an API type. Its rules still carry the patterns that only editors get, see `crdSchema`.
 *
 * @throws Error with every problem, when the type uses what does not reach a CRD.
 */
export function structuralSchema(type: z.ZodType): Schema {
  const banned = zodProblems(type);
  if (banned.length > 0) throw new Error(`not fit for a CRD:\n${banned.join('\n')}`);
  const schema = z.toJSONSchema(type, {
    target: 'openapi-3.0',
    io: 'input',
    override: ({ zodSchema, jsonSchema }) => toStructural(zodSchema as unknown as z.ZodType, jsonSchema as Schema),
  }) as Schema;
  const tidy = map(schema, (node) => sortKeys(withChildDefaults(node)));
  const problems = structuralProblems(tidy);
  if (problems.length > 0) throw new Error(`not structural:\n${problems.join('\n')}`);
  return tidy;
}

/** The schema as it stands in the CRD. */
export function crdSchema(schema: Schema): Schema {
  return map(schema, (node) => {
    const rules = node['x-kubernetes-validations'];
    if (!rules) return node;
    return { ...node, 'x-kubernetes-validations': rules.map(({ pattern: _pattern, ...rule }) => rule) };
  });
}

/** Applies a change to every node, the innermost first. */
export function map(schema: Schema, change: (node: Schema) => Schema): Schema {
  const { properties, items } = schema;
  return change({
    ...schema,
    ...(properties && {
      properties: Object.fromEntries(Object.entries(properties).map(([name, node]) => [name, map(node, change)])),
    }),
    ...(items && { items: map(items, change) }),
  });
}

/** Mends in place what zod writes otherwise than Kubernetes wants it. */
function toStructural(type: z.ZodType, schema: Schema): void {
  if (schema['x-kubernetes-int-or-string']) schema.anyOf = [{ type: 'integer' }, { type: 'string' }];
  if (schema['x-kubernetes-preserve-unknown-fields']) {
    delete schema.properties;
    delete schema.additionalProperties;
  }
  // Wrappers such as .optional() come here too, with what was made of the number within.
  if (type instanceof z.ZodNumber && schema.type === 'integer') {
    schema.format = type.format === 'int32' ? 'int32' : 'int64';
    if (schema.minimum === int32.minimum || schema.minimum === Number.MIN_SAFE_INTEGER) delete schema.minimum;
    if (schema.maximum === int32.maximum || schema.maximum === Number.MAX_SAFE_INTEGER) delete schema.maximum;
  }
  const rules = rulesOf(type);
  if (rules.length > 0) schema['x-kubernetes-validations'] = rules.map(schemaRule);
}

/**
 * A default that is an object gets the defaults of its fields: the API server checks a default by the schema's rules
 * before it fills anything in.
 */
function withChildDefaults(node: Schema): Schema {
  if (typeof node.default !== 'object' || node.default === null || !node.properties) return node;
  const defaults = Object.entries(node.properties)
    .filter(([, property]) => property.default !== undefined)
    .map(([name, property]) => [name, property.default] as const);
  return { ...node, default: { ...Object.fromEntries(defaults), ...node.default } };
}

function schemaRule({ rule, message, fieldPath, pattern }: SchemaRule): SchemaRule {
  return {
    rule,
    message,
    ...(fieldPath !== undefined && { fieldPath }),
    ...(pattern !== undefined && { pattern }),
  };
}

function sortKeys(node: Schema): Schema {
  const rank = (key: string): number => {
    const at = order.indexOf(key);
    if (at < 0) return order.indexOf('required') - 0.5;
    return at;
  };
  return Object.fromEntries(Object.entries(node).sort(([a], [b]) => rank(a) - rank(b))) as Schema;
}
