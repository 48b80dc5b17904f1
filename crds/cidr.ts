import { BlockList, isIP } from 'node:net';
import { z } from 'zod';

/** A range of addresses. */
export interface AddressRange {
  /** Any address of the range. */
  address: string;
  /** How many leading bits of `address` all addresses of the range have. */
  prefix: number;
  family: 'ipv4' | 'ipv6';
}

/** A range in CIDR notation (RFC 4632, RFC 4291), or undefined where it is none. Bits after the prefix do not count. */
export function parseCIDR(text: string): AddressRange | undefined {
  const [, address = '', bits = ''] = /^([0-9A-Fa-f:.]+)\/(0|[1-9][0-9]{0,2})$/.exec(text) ?? [];
  const version = isIP(address);
  const prefix = Number(bits);
  if (version === 0 || prefix > (version === 4 ? 32 : 128)) return undefined;
  return { address, prefix, family: version === 4 ? 'ipv4' : 'ipv6' };
}

/** As far as a regular expression goes: for Helm, which checks values by JSON Schema before anything is installed. */
const ipv4Pattern = '[0-9]{1,3}(\\.[0-9]{1,3}){3}/([12]?[0-9]|3[0-2])';
const ipv6Pattern = '[0-9A-Fa-f]*:[0-9A-Fa-f:.]*/([1-9]?[0-9]|1[01][0-9]|12[0-8])';

/** A field of a configuration that is a range in CIDR notation. */
export const cidr = () =>
  z
    .string()
    .refine((text) => parseCIDR(text) !== undefined, { error: ({ input }) => message(String(input)) })
    .meta({ pattern: `^(${ipv4Pattern}|${ipv6Pattern})$` });

/** The addresses of several ranges. Throws a TypeError for what is no range: configurations are checked by `cidr`. */
export function blockList(cidrs: readonly string[]): BlockList {
  const list = new BlockList();
  for (const text of cidrs) {
    const range = parseCIDR(text);
    if (!range) throw new TypeError(message(text));
    list.addSubnet(range.address, range.prefix, range.family);
  }
  return list;
}

function message(text: string): string {
  return `must be a range in CIDR notation, e.g. 10.0.0.0/8 or fd00::/8, not ${JSON.stringify(text)}`;
}
