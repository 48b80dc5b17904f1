import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { sharedDeep } from './sharing.ts';

const parsed = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

describe('what is kept', () => {
  it('is equal to what came', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.jsonValue(), (one, other) => {
        const [a, b] = [parsed(one), parsed(other)];
        expect(sharedDeep(parsed(one))).toEqual(a);
        expect(sharedDeep(parsed(other))).toEqual(b);
        expect(sharedDeep(parsed({ one, other }))).toEqual({ one: a, other: b });
      }),
    );
  });

  it('is one object for equal ones, and for equal parts of unequal ones', () => {
    const probe = { httpGet: { path: '/health', port: 8000 }, periodSeconds: 5 };
    const first = sharedDeep({ name: 'a', probe: parsed(probe), ports: [1, 2] });
    const second = sharedDeep({ name: 'b', probe: parsed(probe), ports: [1, 2] });
    expect(second.probe).toBe(first.probe);
    expect(second.ports).toBe(first.ports);
    expect(sharedDeep({ name: 'a', probe: parsed(probe), ports: [1, 2] })).toBe(first);
  });

  it.each([
    [{ 'a1,1 b': 1 }, { a: 1, b: 1 }],
    [{ a: '1,1 b2' }, { a: 1, b: 2 }],
    [{ a: '#1' }, { a: {} }],
    [{ a: 'null' }, { a: null }],
    [{ a: '1' }, { a: 1 }],
    [['a'], { 0: 'a' }],
    [{ a: [] }, { a: {} }],
    [{ a: undefined }, { a: 'undefined' }],
  ])('never takes %j for %j', (one, other) => {
    expect(sharedDeep(structuredClone(one))).toEqual(one);
    expect(sharedDeep(structuredClone(other))).toEqual(other);
  });
});
