import { type BlockList, isIP, isIPv6 } from 'node:net';
import { blockList } from './cidr.ts';

/** Which addresses providers may be at. */
export interface AddressRules {
  /** Ranges (CIDR) that are allowed although they are not public. */
  allowedCIDRs: readonly string[];
  /** Ranges that are refused although they are public, e.g. a cluster's pods and Services. */
  deniedCIDRs: readonly string[];
}

/** Why an address is refused, or undefined where it is not. */
export type AddressCheck = (address: string) => string | undefined;

/** IANA's special-purpose registries, and what clouds answer secrets at outside of them. */
const notPublic: readonly (readonly [what: string, ranges: readonly string[]])[] = [
  ['this host', ['0.0.0.0/8', '127.0.0.0/8', '::/128', '::1/128']],
  ['link-local, where clouds keep their metadata', ['169.254.0.0/16', 'fe80::/10', '168.63.129.16/32']],
  ['private', ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', 'fc00::/7', 'fec0::/10']],
  ['shared by carriers (CGNAT)', ['100.64.0.0/10']],
  ['multicast or broadcast', ['224.0.0.0/4', '255.255.255.255/32', 'ff00::/8']],
  [
    'reserved',
    [
      '192.0.0.0/24',
      '192.0.2.0/24',
      '192.88.99.0/24',
      '198.18.0.0/15',
      '198.51.100.0/24',
      '203.0.113.0/24',
      '240.0.0.0/4',
      '64:ff9b:1::/48',
      '100::/64',
      '2001::/23',
      '2001:db8::/32',
      '2002::/16',
      '3fff::/20',
      '5f00::/16',
    ],
  ],
];

/** Forms of IPv6 that only carry an IPv4 address in their last 32 bits: mapped, compatible, translated (RFC 2765, 6052). */
const carriesIPv4 = blockList(['::ffff:0:0/96', '::/96', '::ffff:0:0:0/96', '64:ff9b::/96']);
/** All of IPv6 that is handed out for public use. */
const globalUnicast = blockList(['2000::/3']);

const notPublicLists = notPublic.map(([what, ranges]) => ({ what, list: blockList(ranges) }));

/**
 * The check of a provider's address, to be made on the address that is connected to. Throws a TypeError for rules that are
 * no ranges in CIDR notation.
 */
export function addressCheck(rules: AddressRules): AddressCheck {
  const allowed = blockList(rules.allowedCIDRs);
  const refused = [...notPublicLists, { what: 'one of providers.deniedCIDRs', list: blockList(rules.deniedCIDRs) }];

  return (address) => {
    const plain = address.replace(/%.*$/, ''); // a zone: fe80::1%eth0
    if (isIP(plain) === 0) return 'not an IP address';
    for (const form of [plain, embeddedIPv4(plain)]) {
      if (form === undefined) continue;
      if (contains(allowed, form)) return undefined;
      const reason = refused.find(({ list }) => contains(list, form));
      if (reason) return reason.what;
    }
    if (isIPv6(plain) && !contains(globalUnicast, plain) && !contains(carriesIPv4, plain)) return 'reserved';
    return undefined;
  };
}

function contains(list: BlockList, address: string): boolean {
  return list.check(address, isIPv6(address) ? 'ipv6' : 'ipv4');
}

function embeddedIPv4(address: string): string | undefined {
  if (!isIPv6(address) || !carriesIPv4.check(address, 'ipv6')) return undefined;
  const dotted = /(\d+\.\d+\.\d+\.\d+)$/.exec(address);
  if (dotted) return dotted[1];
  // The WHATWG URL parser writes an IPv6 address in its shortest form, in hexadecimal only.
  const [high, low] = lastGroups(new URL(`http://[${address}]/`).hostname.slice(1, -1));
  const bits = Number.parseInt(high, 16) * 0x1_0000 + Number.parseInt(low, 16);
  return [24, 16, 8, 0].map((shift) => Math.floor(bits / 2 ** shift) % 256).join('.');
}

function lastGroups(address: string): [string, string] {
  const [head = '', tail] = address.split('::');
  const groups = (tail ?? head).split(':').filter((group) => group !== '');
  return [groups.at(-2) ?? '0', groups.at(-1) ?? '0'];
}
