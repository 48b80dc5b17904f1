import { describe, expect, it } from 'vitest';
import { operatorConfigSchema } from './config.ts';

const problems = (change: object): string[] =>
  (operatorConfigSchema.partial().safeParse(change).error?.issues ?? []).map(
    ({ path, message }) => `${path.join('.')}: ${message}`,
  );

describe("the operator's configuration", () => {
  it.each(['10.0.0.0/99', '10.0.0/8', '10.0.0.1'])('refuses %s as a range of providers, and names it', (range) => {
    expect(problems({ providers: { allowedCIDRs: ['fd00::/8', range] } })).toEqual([
      expect.stringMatching(`^providers\\.allowedCIDRs\\.1: must be a range in CIDR notation.*"${range}"$`),
    ]);
  });

  it('refuses what is no range as a peer that may scrape', () => {
    const ipBlock = { cidr: '10.0.0.0', except: ['10.1.0.0/16', '10.2/16'] };
    expect(problems({ monitoring: { from: [{ ipBlock }] } })).toEqual([
      expect.stringContaining('monitoring.from.0.ipBlock.cidr: must be a range in CIDR notation'),
      expect.stringContaining('monitoring.from.0.ipBlock.except.1: must be a range in CIDR notation'),
    ]);
  });

  it('takes ranges of IPv4 and IPv6', () => {
    expect(problems({ providers: { allowedCIDRs: ['10.20.0.0/16', 'fd00::/8', '192.0.2.7/32'] } })).toEqual([]);
  });
});
