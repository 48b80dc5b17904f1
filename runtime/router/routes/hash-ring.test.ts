import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { HashRing, hash } from './hash-ring.ts';

const ringOf = (members: readonly string[]) => new HashRing(members, (member) => member);
const endpoints = (count: number) => Array.from({ length: count }, (_, at) => `http://10.0.0.${at}:8000`);
const keys = Array.from({ length: 10_000 }, (_, at) => hash(`conversation ${at}`));
const any = () => true;

describe('the ring', () => {
  it('gives each member about its part of the keys', () => {
    const ring = ringOf(endpoints(8));
    const counts = new Map<string, number>();
    for (const key of keys) {
      const member = ring.find(key, any) as string;
      counts.set(member, (counts.get(member) ?? 0) + 1);
    }
    expect(counts.size).toBe(8);
    for (const count of counts.values()) expect(count / (keys.length / 8)).toBeGreaterThan(0.6);
    for (const count of counts.values()) expect(count / (keys.length / 8)).toBeLessThan(1.5);
  });

  it('moves no key but to a member that comes, and from one that goes', () => {
    const before = ringOf(endpoints(8));
    const after = ringOf(endpoints(9));
    const added = endpoints(9).at(-1);
    const moved = keys.filter((key) => after.find(key, any) !== before.find(key, any));
    expect(moved.length).toBeGreaterThan(0);
    expect(new Set(moved.map((key) => after.find(key, any)))).toEqual(new Set([added]));
  });

  it('does not depend on the order of its members', () => {
    fc.assert(
      fc.property(fc.shuffledSubarray(endpoints(20), { minLength: 1 }), fc.nat(0xffffffff), (members, key) => {
        expect(ringOf(members).find(key, any)).toBe(ringOf([...members].sort()).find(key, any));
      }),
      { numRuns: 30 },
    );
  });

  it('finds a member if any is taken, and none else', () => {
    const members = endpoints(5);
    const ring = ringOf(members);
    fc.assert(
      fc.property(fc.nat(0xffffffff), fc.subarray(members), (key, taken) => {
        const found = ring.find(key, (member) => taken.includes(member));
        expect(taken.length === 0 ? [undefined] : taken).toContain(found);
      }),
    );
    expect(ringOf([]).find(7, any)).toBeUndefined();
  });
});
