import { describe, expect, it } from 'vitest';
import { addressCheck } from './addresses.ts';

const check = addressCheck({ allowedCIDRs: [], deniedCIDRs: [] });

describe('addressCheck', () => {
  it.each([
    '0.0.0.0',
    '127.0.0.1',
    '127.255.255.254',
    '10.0.0.1',
    '172.16.0.1',
    '172.31.255.255',
    '192.168.1.1',
    '100.64.0.1',
    '100.100.100.200',
    '169.254.169.254',
    '168.63.129.16',
    '192.0.0.192',
    '198.18.0.1',
    '224.0.0.1',
    '240.0.0.1',
    '255.255.255.255',
    '::',
    '::1',
    '::127.0.0.1',
    '::ffff:127.0.0.1',
    '::ffff:7f00:1',
    '::ffff:a00:1',
    '64:ff9b::10.0.0.1',
    '64:ff9b::a9fe:a9fe',
    '64:ff9b:1::1',
    '::ffff:0:a9fe:a9fe',
    '::ffff:0:169.254.169.254',
    '100:0:0:1::1',
    '1::1',
    '4000::1',
    'fe80::1',
    'fe80::1%eth0',
    'fc00::1',
    'fd00:ec2::254',
    'ff02::1',
    '2002:a00:1::1',
    '2001:0:1::1',
    '2001:db8::1',
    'not an address',
  ])('refuses %s', (address) => {
    expect(check(address)).toEqual(expect.any(String));
  });

  it.each(['1.1.1.1', '172.32.0.1', '100.128.0.1', '2606:4700::1111', '::ffff:1.1.1.1', '64:ff9b::1.1.1.1'])(
    'lets %s pass',
    (address) => {
      expect(check(address)).toBeUndefined();
    },
  );

  it('lets pass what is allowed, in either form, and nothing beside it', () => {
    const allows = addressCheck({ allowedCIDRs: ['10.1.0.0/16'], deniedCIDRs: [] });
    expect(allows('10.1.2.3')).toBeUndefined();
    expect(allows('::ffff:10.1.2.3')).toBeUndefined();
    expect(allows('10.2.0.1')).toBe('private');
  });

  it('refuses what is denied although it is public, but for what is allowed', () => {
    const rules = addressCheck({ allowedCIDRs: ['34.118.0.7/32'], deniedCIDRs: ['34.118.0.0/16', '2600:1900::/28'] });
    expect(rules('34.118.1.1')).toContain('deniedCIDRs');
    expect(rules('2600:1900::1')).toContain('deniedCIDRs');
    expect(rules('34.118.0.7')).toBeUndefined();
    expect(rules('34.119.0.1')).toBeUndefined();
  });
});
