import type { z } from 'zod';

/** A node of an OpenAPI v3 schema, as far as CustomResourceDefinitions have it. */
export interface Schema {
  description?: string;
  type?: string;
  format?: string;
  default?: unknown;
  enum?: unknown[];
  pattern?: string;
  minLength?: number;
  maxLength?: number;
  minimum?: number;
  maximum?: number;
  minItems?: number;
  maxItems?: number;
  maxProperties?: number;
  anyOf?: Schema[];
  required?: string[];
  properties?: Record<string, Schema>;
  additionalProperties?: Schema | boolean;
  items?: Schema;
  'x-kubernetes-int-or-string'?: boolean;
  'x-kubernetes-preserve-unknown-fields'?: boolean;
  'x-kubernetes-list-type'?: string;
  'x-kubernetes-list-map-keys'?: string[];
  'x-kubernetes-validations'?: SchemaRule[];
}

/** A rule in CEL. `pattern` is ours: it goes to the editors' schema, not to the CRD. */
export interface SchemaRule {
  rule: string;
  message: string;
  fieldPath?: string;
  pattern?: string;
}

const allowedKeys = new Set([
  'description',
  'type',
  'format',
  'default',
  'enum',
  'pattern',
  'minLength',
  'maxLength',
  'minimum',
  'maximum',
  'minItems',
  'maxItems',
  'maxProperties',
  'anyOf',
  'required',
  'properties',
  'additionalProperties',
  'items',
  'x-kubernetes-int-or-string',
  'x-kubernetes-preserve-unknown-fields',
  'x-kubernetes-list-type',
  'x-kubernetes-list-map-keys',
  'x-kubernetes-validations',
]);
const yamlBooleans = /^(on|off|yes|no|y|n|true|false)$/i;
const intOrString = JSON.stringify([{ type: 'integer' }, { type: 'string' }]);

interface Place {
  path: string;
  inList: boolean;
}

/**
 * What of a schema Kubernetes would refuse as not structural, or our conventions do not allow: everything bounded, so
 * that the cost of CEL can be estimated; lists with a type; no floats; no defaults in list entries; all described.
 * See https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#specifying-a-structural-schema
 */
export function structuralProblems(root: Schema): string[] {
  return problemsAt(root, { path: '', inList: false });
}

function problemsAt(schema: Schema, place: Place): string[] {
  const problems = [
    ...Object.keys(schema).flatMap((key) => (allowedKeys.has(key) ? [] : [`must not have ${key}`])),
    ...typeProblems(schema),
    ...boundProblems(schema),
    ...listProblems(schema),
    ...ruleProblems(schema),
    ...(place.inList && schema.default !== undefined ? ['must have no default within a list'] : []),
    ...(place.path !== '' && !isEntry(place) && !schema.description ? ['must have a description'] : []),
  ].map((problem) => `${place.path || '(root)'}: ${problem}`);
  for (const [name, property] of Object.entries(schema.properties ?? {})) {
    const path = place.path ? `${place.path}.${name}` : name;
    if (yamlBooleans.test(name)) problems.push(`${path}: YAML 1.1 reads this name as a boolean`);
    // ObjectMeta is Kubernetes' own: the CRD has none of it.
    if (path !== 'metadata') problems.push(...problemsAt(property, { ...place, path }));
  }
  if (schema.items) problems.push(...problemsAt(schema.items, { path: `${place.path}[]`, inList: true }));
  return problems;
}

const isEntry = ({ path }: Place): boolean => path.endsWith('[]');

function typeProblems(schema: Schema): string[] {
  const { type, anyOf, properties, additionalProperties, items, required = [], format } = schema;
  const problems: string[] = [];
  if (schema['x-kubernetes-int-or-string']) {
    if (type !== undefined) problems.push('must have no type beside x-kubernetes-int-or-string');
    if (JSON.stringify(anyOf) !== intOrString) problems.push('anyOf must be integer, string');
  } else {
    if (!type) problems.push('must have a type');
    if (anyOf) problems.push('anyOf is for x-kubernetes-int-or-string only');
  }
  if (type === 'number') problems.push('must not be a float: use a string with a pattern');
  if (type === 'integer' && format !== 'int32' && format !== 'int64')
    problems.push('must have a format int32 or int64');
  const isAnyObject = schema['x-kubernetes-preserve-unknown-fields'] === true;
  if (type === 'object' && !properties && !additionalProperties && !isAnyObject) problems.push('must have properties');
  if (additionalProperties !== undefined && (properties || typeof additionalProperties === 'boolean')) {
    problems.push('additionalProperties must be a schema, without properties beside it');
  }
  if (type === 'array' && !items) problems.push('must have items');
  for (const name of required) if (!properties?.[name]) problems.push(`required names ${name}, which is no property`);
  return problems;
}

function boundProblems(schema: Schema): string[] {
  const { type, format, maxLength, maxItems, maxProperties, minimum, additionalProperties } = schema;
  const problems: string[] = [];
  if (type === 'string' && !schema.enum && maxLength === undefined) problems.push('must have maxLength');
  if (type === 'array' && maxItems === undefined) problems.push('must have maxItems');
  if (type === 'object' && additionalProperties && maxProperties === undefined)
    problems.push('must have maxProperties');
  if (type === 'integer' && minimum === undefined) problems.push('must have minimum');
  if (type === 'integer' && format === 'int64' && (minimum ?? 0) < 0) problems.push('must not be negative');
  for (const value of schema.enum ?? []) {
    // The statuses of a condition are what Kubernetes made them.
    const text = String(value);
    if (schema.enum?.includes('Unknown')) continue;
    if (yamlBooleans.test(text)) problems.push(`YAML 1.1 reads ${text} as a boolean`);
    if (!/^[A-Z][A-Za-z0-9]*$/.test(text)) problems.push(`${text} must be in CamelCase`);
  }
  return problems;
}

function listProblems({ type, items, ...schema }: Schema): string[] {
  if (type !== 'array' || !items) return [];
  const kind = schema['x-kubernetes-list-type'];
  if (items.type !== 'object') return kind === undefined ? ['must have x-kubernetes-list-type'] : [];
  const keys = schema['x-kubernetes-list-map-keys'] ?? [];
  if (kind !== 'map' || keys.length === 0) return ['must be a list with map keys'];
  return keys.filter((key) => !items.required?.includes(key)).map((key) => `its entries must require the key ${key}`);
}

function ruleProblems(schema: Schema): string[] {
  const problems: string[] = [];
  for (const { rule, message, fieldPath } of schema['x-kubernetes-validations'] ?? []) {
    if (rule.trim() === '') problems.push('has an empty rule');
    if (message.trim() === '' || message.includes('\n')) problems.push(`rule ${rule} must have a message of one line`);
    if (fieldPath !== undefined && !propertyAt(schema, fieldPath)) problems.push(`rule blames ${fieldPath}: no field`);
  }
  return problems;
}

function propertyAt(schema: Schema, fieldPath: string): Schema | undefined {
  return fieldPath
    .slice(1)
    .split('.')
    .reduce<Schema | undefined>((at, name) => at?.properties?.[name], schema);
}

interface Definition {
  type: string;
  innerType?: z.ZodType;
  element?: z.ZodType;
  shape?: Record<string, z.ZodType>;
  options?: z.ZodType[];
  checks?: z.core.$ZodCheck[];
}

const allowedTypes = new Set([
  'object',
  'array',
  'string',
  'number',
  'boolean',
  'enum',
  'union',
  'optional',
  'default',
  'prefault',
]);
const bannedChecks = new Set(['custom', 'overwrite']);

/**
 * What of a zod schema would not reach the CRD: `.refine()` is dropped without a word, `.transform()` and its kin too,
 * `.meta({ id })` becomes a `$ref`. Rules belong in `withRules()`.
 */
export function zodProblems(schema: z.ZodType, path = ''): string[] {
  const def = schema.def as unknown as Definition;
  const own = [
    ...(allowedTypes.has(def.type) ? [] : [`must not be z.${def.type}()`]),
    ...(def.checks ?? [])
      .map((check) => check['_zod'].def.check)
      .filter((check) => bannedChecks.has(check))
      .map((check) => `must not use .${check === 'custom' ? 'refine' : 'overwrite'}(): use withRules()`),
    ...(schema.meta()?.id === undefined ? [] : ['must have no id']),
    ...(def.type === 'union' && !schema.meta()?.['x-kubernetes-int-or-string'] ? ['must not be a union'] : []),
  ].map((problem) => `${path || '(root)'}: ${problem}`);
  return [
    ...own,
    ...(def.innerType ? zodProblems(def.innerType, path) : []),
    ...(def.element ? zodProblems(def.element, `${path}[]`) : []),
    ...(def.options ?? []).flatMap((option) => zodProblems(option, path)),
    ...Object.entries(def.shape ?? {}).flatMap(([key, part]) => zodProblems(part, path ? `${path}.${key}` : key)),
  ];
}
