import { lookup as dnsLookup, type LookupAddress, type LookupOptions } from 'node:dns';
import { isIP } from 'node:net';
import { buildConnector } from 'undici';
import type { AddressCheck } from '../../../crds/addresses.ts';

/** Resolves a name to all of its addresses: `dns.lookup`, or a test's own. */
export type Resolve = (
  hostname: string,
  options: LookupOptions & { all: true },
  callback: (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => void,
) => void;

/** A provider's address that the rules refuse. */
export class AddressRefused extends Error {
  override readonly name = 'AddressRefused';
  readonly code = 'AddressRefused';

  constructor(hostname: string, address: string, why: string) {
    const at = hostname === address ? address : `${hostname} is at ${address}, which`;
    super(`${at} is refused: ${why}; providers.allowedCIDRs can allow it`);
  }
}

export interface GuardOptions {
  check: AddressCheck;
  /** Certificates to trust, PEM. */
  ca: readonly string[] | undefined;
  connectTimeoutMs: number;
  resolve?: Resolve;
}

/**
 * Connects over TLS to public addresses only. The name is resolved once, each of its addresses checked, and one of these
 * very addresses connected to: a name server that answers otherwise the next time gains nothing (DNS rebinding).
 */
export function guardedConnector({
  check,
  ca,
  connectTimeoutMs,
  resolve = dnsLookup,
}: GuardOptions): buildConnector.connector {
  const lookup = (
    hostname: string,
    options: LookupOptions,
    callback: (error: NodeJS.ErrnoException | null, address: string | LookupAddress[], family?: number) => void,
  ) => {
    resolve(hostname, { ...options, all: true }, (error, addresses) => {
      if (error) return callback(error, []);
      for (const { address } of addresses) {
        const why = check(address);
        if (why !== undefined) return callback(new AddressRefused(hostname, address, why), []);
      }
      const first = addresses[0];
      if (!first) return callback(Object.assign(new Error(`${hostname} has no address`), { code: 'ENOTFOUND' }), []);
      return options.all === true ? callback(null, addresses) : callback(null, first.address, first.family);
    });
  };
  const connect = buildConnector({ lookup, allowH2: false, timeout: connectTimeoutMs, ...(ca ? { ca: [...ca] } : {}) });

  return (options, callback) => {
    if (options.protocol !== 'https:') {
      callback(new AddressRefused(options.hostname, options.hostname, 'providers are called by https only'), null);
      return;
    }
    // Node looks up no name that is an address already.
    const literal = options.hostname.replace(/^\[|\]$/g, '');
    const why = isIP(literal) === 0 ? undefined : check(literal);
    if (why === undefined) connect(options, callback);
    else callback(new AddressRefused(literal, literal, why), null);
  };
}
