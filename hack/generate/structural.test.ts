import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { withRules } from '../../crds/rules.ts';
import { crdSchema, structuralSchema } from './schema.ts';
import { type Schema, structuralProblems, zodProblems } from './structural.ts';

const text: Schema = { type: 'string', maxLength: 10, description: 'A text.' };
const object = (properties: Record<string, Schema>, more: Schema = {}): Schema => ({
  type: 'object',
  properties,
  ...more,
});
const list = (items: Schema, more: Schema = {}): Schema => ({
  type: 'array',
  maxItems: 3,
  description: 'A list.',
  items,
  ...more,
});
const mapOf = (items: Schema): Schema =>
  list(items, { 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['name'] });

describe('a structural schema', () => {
  it('may have bounded strings, numbers, keyed lists and quantities', () => {
    const schema = object({
      name: text,
      count: { type: 'integer', format: 'int32', minimum: 0, description: 'A count.' },
      kind: { type: 'string', enum: ['VLLM', 'LlamaCpp'], description: 'A kind.' },
      cpu: {
        'x-kubernetes-int-or-string': true,
        anyOf: [{ type: 'integer' }, { type: 'string' }],
        description: 'A quantity.',
      },
      labels: { type: 'object', additionalProperties: text, maxProperties: 3, description: 'A map.' },
      items: mapOf(object({ name: text }, { required: ['name'] })),
      names: list({ type: 'string', maxLength: 10 }, { 'x-kubernetes-list-type': 'atomic' }),
    });
    expect(structuralProblems(schema)).toEqual([]);
  });

  it.each<[string, Schema, string]>([
    ['no type', { description: 'x' }, 'must have a type'],
    ['a float', { type: 'number', description: 'x' }, 'must not be a float: use a string with a pattern'],
    ['an unbounded string', { type: 'string', description: 'x' }, 'must have maxLength'],
    ['an unbounded number', { type: 'integer', format: 'int32', description: 'x' }, 'must have minimum'],
    ['a number without format', { type: 'integer', minimum: 0, description: 'x' }, 'must have a format int32 or int64'],
    ['no description', { type: 'string', maxLength: 1 }, 'must have a description'],
    ['an unbounded map', { type: 'object', additionalProperties: text, description: 'x' }, 'must have maxProperties'],
    [
      'a closed object',
      { ...object({ name: text }), additionalProperties: false, description: 'x' },
      'additionalProperties must be a schema, without properties beside it',
    ],
    ['a map of anything', { type: 'object', description: 'x' }, 'must have properties'],
    [
      'a union',
      { type: 'object', properties: {}, anyOf: [], description: 'x' },
      'anyOf is for x-kubernetes-int-or-string only',
    ],
    ['a reference', { ...text, $ref: '#/x' } as Schema, 'must not have $ref'],
    ['oneOf', { ...text, oneOf: [] } as Schema, 'must not have oneOf'],
    ['an unbounded list', { type: 'array', items: text, description: 'x' }, 'must have maxItems'],
    ['a list of texts without a type', list(text), 'must have x-kubernetes-list-type'],
    ['a list of objects without keys', list(object({ name: text })), 'must be a list with map keys'],
    ['a key that may be missing', mapOf(object({ name: text })), 'its entries must require the key name'],
    ['a value that YAML takes for a boolean', { ...text, enum: ['Off'] }, 'YAML 1.1 reads Off as a boolean'],
    ['a value in lower case', { ...text, enum: ['vllm'] }, 'vllm must be in CamelCase'],
    [
      'a required field that is none',
      object({}, { required: ['a'], description: 'x' }),
      'required names a, which is no property',
    ],
    [
      'a rule that blames no field',
      { ...text, 'x-kubernetes-validations': [{ rule: 'true', message: 'x', fieldPath: '.a' }] },
      'rule blames .a: no field',
    ],
    [
      'a rule without a message',
      { ...text, 'x-kubernetes-validations': [{ rule: 'true', message: '' }] },
      'rule true must have a message of one line',
    ],
  ])('must not have %s', (_, field, problem) => {
    expect(structuralProblems(object({ field }))).toContain(`field: ${problem}`);
  });

  it('must have no default in a list’s entries, where GitOps tools would see drift', () => {
    const entry = object({ name: text, key: { ...text, default: 'token' } }, { required: ['name'] });
    expect(structuralProblems(object({ keys: mapOf(entry) }))).toEqual([
      'keys[].key: must have no default within a list',
    ]);
  });

  it('must have no field whose name YAML takes for a boolean', () => {
    expect(structuralProblems(object({ on: text }))).toEqual(['on: YAML 1.1 reads this name as a boolean']);
  });
});

describe('a zod schema for a CRD', () => {
  const path = (schema: z.ZodType): string[] => zodProblems(z.object({ a: z.object({ b: schema.optional() }) }));

  it.each<[string, z.ZodType, string]>([
    ['refine', z.string().refine(Boolean), 'must not use .refine(): use withRules()'],
    ['superRefine', z.string().superRefine(() => undefined), 'must not use .refine(): use withRules()'],
    ['transform', z.string().transform(Number), 'must not be z.pipe()'],
    ['trim', z.string().trim(), 'must not use .overwrite(): use withRules()'],
    ['a date', z.date(), 'must not be z.date()'],
    ['anything', z.unknown(), 'must not be z.unknown()'],
    ['a union', z.union([z.string(), z.int()]), 'must not be a union'],
    ['a nullable', z.string().nullable(), 'must not be z.nullable()'],
    ['an id', z.string().meta({ id: 'field-of-a-test' }), 'must have no id'],
  ])('must not use %s', (_, schema, problem) => {
    expect(path(schema)).toContain(`a.b: ${problem}`);
  });

  it('is searched within lists', () => {
    expect(zodProblems(z.object({ a: z.array(z.string().refine(Boolean)) }))).toHaveLength(1);
  });

  it('is refused as a whole, with every place', () => {
    const schema = z.object({ a: z.string().transform(Number), b: z.any() });
    expect(() => structuralSchema(schema)).toThrow(
      /not fit for a CRD:\na: must not be z\.pipe\(\)[^]*\nb: must not be z\.any\(\)/,
    );
  });

  it('becomes structural: formats, quantities, rules and the defaults of an object', () => {
    const schema = structuralSchema(
      z.object({
        times: z
          .object({
            first: z.string().max(9).default('1s').describe('x'),
            last: z.string().max(9).default('2s').describe('x'),
          })
          .prefault({ last: '3s' })
          .describe('x'),
        big: z.int().min(0).describe('x'),
        small: z.int32().min(0).max(5).optional().describe('x'),
        name: withRules(z.string().max(9), {
          rule: 'self != "a"',
          holds: () => true,
          message: 'no a',
          pattern: '^[^a]$',
        }).describe('x'),
      }),
    );
    expect(schema.required).toEqual(['big', 'name']);
    expect(schema.properties?.['times']?.default).toEqual({ first: '1s', last: '3s' });
    expect(schema.properties?.['big']).toEqual({ description: 'x', type: 'integer', format: 'int64', minimum: 0 });
    expect(schema.properties?.['small']).toEqual({
      description: 'x',
      type: 'integer',
      format: 'int32',
      minimum: 0,
      maximum: 5,
    });
    expect(crdSchema(schema).properties?.['name']).toEqual({
      description: 'x',
      type: 'string',
      maxLength: 9,
      'x-kubernetes-validations': [{ rule: 'self != "a"', message: 'no a' }],
    });
  });
});
