import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { contains, equals } from './match.ts';

const limits = (value: unknown): object => ({ resources: { limits: { cpu: value } } });

describe('a live object contains the desired one', () => {
  it.each<[string, unknown, unknown]>([
    ['when the server added defaults', { a: 1, b: { c: 2, d: 3 } }, { b: { c: 2 } }],
    ['when the server left out an empty object', {}, { nodeSelector: {} }],
    ['when a field is undefined', { a: 1 }, { a: 1, b: undefined }],
    ['when defaults are inside a list', { ports: [{ port: 80, protocol: 'TCP' }] }, { ports: [{ port: 80 }] }],
    [
      'when others added owners',
      { ownerReferences: [{ uid: 'x' }, { uid: 'y' }] },
      { ownerReferences: [{ uid: 'y' }] },
    ],
    ['when others added finalizers', { finalizers: ['x', 'y'] }, { finalizers: ['y'] }],
    ['when CPU is written in another way', limits('500m'), limits('0.5')],
    ['when CPU is a number', limits('2'), limits(2)],
    ['when memory is written in another way', limits('1Gi'), limits('1024Mi')],
    ['when memory is in bytes', limits('1Ki'), limits(1024)],
    ['when a quantity has an exponent', limits('1G'), limits('1e9')],
    ['when a size limit is written in another way', { sizeLimit: '1Gi' }, { sizeLimit: '1024Mi' }],
  ])('%s', (_, live, desired) => {
    expect(contains(live, desired)).toBe(true);
  });

  it.each<[string, unknown, unknown]>([
    ['when a value differs', { a: 1 }, { a: 2 }],
    ['when a field is missing', {}, { a: 1 }],
    ['when a list is longer', { args: ['a', 'b'] }, { args: ['a'] }],
    ['when a list has another order', { args: ['a', 'b'] }, { args: ['b', 'a'] }],
    ['when an object became a list', { a: [] }, { a: {} }],
    ['when our owner is missing', { ownerReferences: [{ uid: 'x' }] }, { ownerReferences: [{ uid: 'y' }] }],
    ['when a quantity differs', limits('500m'), limits('0.6')],
    [
      'when what looks like a quantity is text',
      { env: [{ name: 'A', value: '1.0' }] },
      { env: [{ name: 'A', value: '1' }] },
    ],
    ['when null stands for a value', { a: null }, { a: {} }],
  ])('not %s', (_, live, desired) => {
    expect(contains(live, desired)).toBe(false);
  });

  it('always when they are the same JSON', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const copy: unknown = JSON.parse(JSON.stringify(value));
        expect(contains(copy, value)).toBe(true);
        expect(equals(copy, value)).toBe(true);
      }),
    );
  });

  it('never when equality fails in a leaf that both have', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.integer(), { minKeys: 1 }), fc.nat(), (value, at) => {
        const name = Object.keys(value)[at % Object.keys(value).length] ?? '';
        const other = { ...value, [name]: (value[name] ?? 0) + 1 };
        expect(contains(other, value)).toBe(false);
        expect(equals(other, value)).toBe(false);
      }),
    );
  });
});

describe('two statuses are equal', () => {
  it.each<[unknown, unknown, boolean]>([
    [{ a: 1, b: 2 }, { b: 2, a: 1 }, true],
    [{ a: 1, b: undefined }, { a: 1 }, true],
    [{ a: 1 }, { a: 1, b: undefined }, true],
    [{ a: 1 }, { a: 1, b: 2 }, false],
    [{ a: 1, b: 2 }, { a: 1 }, false],
    [[1, 2], [2, 1], false],
    [{}, undefined, false],
    [{}, [], false],
    [[], {}, false],
    [null, {}, false],
  ])('%j and %j: %s', (a, b, same) => {
    expect(equals(a, b)).toBe(same);
  });
});
