import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { sharedPart, sharedTree } from './sharing.ts';

const parsed = <T>(value: T): T => JSON.parse(JSON.stringify(value)) as T;

describe('what is kept', () => {
  it('is equal to what came', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.jsonValue(), (one, other) => {
        const both = { one, other, list: [one, [other]] };
        expect(sharedPart(parsed(one))).toEqual(parsed(one));
        expect(sharedPart(parsed(other))).toEqual(parsed(other));
        expect(sharedTree(parsed(both))).toEqual(parsed(both));
        expect(sharedPart(parsed(both))).toEqual(parsed(both));
      }),
    );
  });

  it('is one object for equal small parts of unequal objects', () => {
    const container = { name: 'engine', livenessProbe: { httpGet: { path: '/health', port: 8000 }, periodSeconds: 5 } };
    const deployment = (name: string) => ({ name, template: { spec: { containers: [parsed(container)] } } });
    const [first, second] = [sharedTree(deployment('a')), sharedTree(deployment('b'))];
    const probeOf = ({ template }: typeof first) => template.spec.containers[0]?.livenessProbe;
    expect(probeOf(second)).toBe(probeOf(first));
    expect(second).toEqual(deployment('b'));
    expect(sharedPart({ 'cadre.dev/model': 'm' })).toBe(sharedPart({ 'cadre.dev/model': 'm' }));
  });

  it('is whole where it is large', () => {
    const large = { list: Array.from({ length: 1000 }, (_, i) => ({ i, text: 'x'.repeat(i) })) };
    expect(sharedPart(parsed(large))).toEqual(large);
  });
});
