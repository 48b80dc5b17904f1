import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { blockList, cidr, parseCIDR } from './cidr.ts';

const wrong = [
  '',
  '10.0.0.0',
  '10.0.0/8',
  '10.0.0.0/33',
  '10.0.0.0/99',
  '10.0.0.0/',
  '10.0.0.0/08',
  '10.0.0.0/8/8',
  '10.0.0.0/-1',
  ' 10.0.0.0/8',
  '010.0.0.0/8',
  '256.0.0.0/8',
  'fd00::',
  'fd00::/129',
  'fd00:::/8',
  'fe80::1%eth0/64',
  '[fd00::]/8',
  'example.com/8',
];
const right = [
  '10.0.0.0/8',
  '10.1.2.3/8',
  '0.0.0.0/0',
  '10.1.2.3/32',
  'fd00::/8',
  '::/0',
  '::1/128',
  '::ffff:10.0.0.0/104',
];

describe('a range in CIDR notation', () => {
  it('is an address and the length of its prefix', () => {
    expect(parseCIDR('10.0.0.0/8')).toEqual({ address: '10.0.0.0', prefix: 8, family: 'ipv4' });
    expect(parseCIDR('fd00::/8')).toEqual({ address: 'fd00::', prefix: 8, family: 'ipv6' });
  });

  it.each(right)('may be %s', (text) => {
    expect(parseCIDR(text)).toBeDefined();
    expect(cidr().safeParse(text).success).toBe(true);
    expect(() => blockList([text])).not.toThrow();
  });

  it.each(wrong)('may not be %o', (text) => {
    expect(parseCIDR(text)).toBeUndefined();
    expect(
      cidr()
        .safeParse(text)
        .error?.issues.map(({ message }) => message),
    ).toEqual([`must be a range in CIDR notation, e.g. 10.0.0.0/8 or fd00::/8, not ${JSON.stringify(text)}`]);
    expect(() => blockList([text])).toThrow(JSON.stringify(text));
  });

  it('has a pattern for tools that know no more than JSON Schema, which lets all pass that is right', () => {
    const { pattern = '' } = z.toJSONSchema(cidr()) as { pattern?: string };
    const matches = (text: string): boolean => new RegExp(pattern).test(text);
    expect(right.filter((text) => !matches(text))).toEqual([]);
    expect(['10.0.0.0', '10.0.0/8', '10.0.0.0/99', 'fd00::', 'fd00::/129', 'example.com/8'].filter(matches)).toEqual(
      [],
    );
  });
});

describe('a list of ranges', () => {
  it('has the addresses within its ranges only, whatever the bits after the prefix', () => {
    const list = blockList(['10.1.2.3/16', 'fd00::/8']);
    expect(list.check('10.1.255.1', 'ipv4')).toBe(true);
    expect(list.check('10.2.0.1', 'ipv4')).toBe(false);
    expect(list.check('fdff::1', 'ipv6')).toBe(true);
    expect(list.check('fe00::1', 'ipv6')).toBe(false);
  });
});
