import { describe, expect, it } from 'vitest';
import { addressPlan, chooseNetwork } from './network.ts';

describe('the address plan', () => {
  it('is the usual one on a machine that routes only its own network', () => {
    expect(chooseNetwork(['default', '192.0.2.0/24'])).toEqual(addressPlan(0));
    expect(addressPlan(0)).toMatchObject({
      services: '10.96.0.0/16',
      dnsService: '10.96.0.10',
      nodePods: '10.244.0.0/24',
    });
  });

  it('gives way to a range that is routed already, in whole, in part or by one address', () => {
    expect(chooseNetwork(['10.96.0.0/16']).index).toBe(1);
    expect(chooseNetwork(['10.96.0.0/15']).index).toBe(2);
    expect(chooseNetwork(['192.168.244.2', '10.245.0.9']).index).toBe(2);
  });

  it('says which ranges to free when all are taken', () => {
    expect(() => chooseNetwork(['10.0.0.0/8'])).toThrow(/10\.96\.0\.0\/16.*ip route/);
  });
});
