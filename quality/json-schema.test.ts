import { describe, expect, it } from 'vitest';
import { compileSchema, InvalidSchemaError } from './json-schema.ts';

const order = {
  type: 'object',
  required: ['order'],
  properties: { order: { type: 'string', pattern: '^AB-' }, amount: { type: 'number' } },
};

describe('a JSON schema', () => {
  it('says which of its rules a document does not keep, and nothing of the document', () => {
    const { problemOf, required } = compileSchema(order);
    expect(required).toEqual(['order']);
    expect(problemOf({ order: 'AB-1' })).toBeUndefined();
    expect(problemOf({ order: 'secret' })).toBe('#/properties/order/pattern is not kept');
    expect(problemOf([])).toBe('#/type is not kept');
  });

  it('is of draft 7, or of 2020-12 where it says so', () => {
    const seventh = compileSchema({ $schema: 'http://json-schema.org/draft-07/schema#', items: [{ type: 'string' }] });
    expect([seventh.problemOf(['a']), seventh.problemOf([1])]).toEqual([undefined, '#/items/0/type is not kept']);
    const newer = compileSchema({
      $schema: 'https://json-schema.org/draft/2020-12/schema',
      prefixItems: [{ type: 'string' }],
    });
    expect([newer.problemOf(['a']), newer.problemOf([1])]).toEqual([undefined, '#/prefixItems/0/type is not kept']);
  });

  it('reaches its own definitions, by the word of any draft', () => {
    for (const word of ['definitions', '$defs']) {
      const { problemOf } = compileSchema({ $ref: `#/${word}/a`, [word]: { a: { type: 'string' } } });
      expect([problemOf('x'), problemOf(1)]).toEqual([undefined, `#/${word}/a/type is not kept`]);
    }
  });

  it('may have formats and words that nobody knows', () => {
    const { problemOf } = compileSchema({ type: 'string', format: 'order-number', 'x-order': 1 });
    expect(problemOf('anything')).toBeUndefined();
  });

  it('is refused where it is none, and where it would have to be fetched', () => {
    const wrong = [{ type: 'strin' }, { $ref: 'https://example.com/a.json' }, { pattern: '(' }, { required: 'a' }];
    for (const schema of wrong) expect(() => compileSchema(schema)).toThrow(InvalidSchemaError);
  });

  it('may have an $id that another one has', () => {
    const same = { $id: 'https://example.com/order', ...order };
    expect(compileSchema(same).problemOf({ order: 'AB-1' })).toBeUndefined();
    expect(compileSchema({ ...same, required: ['amount'] }).problemOf({ order: 'AB-1' })).toBe(
      '#/required is not kept',
    );
  });
});
