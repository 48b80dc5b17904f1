import { isIP } from 'node:net';
import { addressCheck } from '../../../crds/addresses.ts';
import type { RoutingPolicySpec } from '../../../crds/v1alpha1/routing-policy.ts';
import type { OperatorConfig } from '../../config.ts';
import type { Secret } from '../../context.ts';
import { isSharedWith, listsHost } from '../../shared-hosts.ts';

export type Provider = NonNullable<RoutingPolicySpec['backends'][number]['provider']>;

/** Hosts whose keys are meant for them alone: a Secret needs no annotation to be sent there. */
const ownHosts: Partial<Record<Provider['type'], string>> = {
  OpenAI: 'api.openai.com',
  Anthropic: 'api.anthropic.com',
};

const ownUrls: Partial<Record<Provider['type'], string>> = {
  OpenAI: 'https://api.openai.com/v1',
  Anthropic: 'https://api.anthropic.com/v1',
};

/** A provider's address, or why it cannot be used. */
export type ProviderAddress =
  | { ok: true; url: URL; baseUrl: string }
  | { ok: false; reason: 'InvalidSpec' | 'HostNotAllowed'; message: string };

/**
 * Where a provider is, and whether the operator's configuration lets a policy name it. Names that lead elsewhere than they
 * seem are caught by the router, which checks the address at connection time; here the plain cases get a clear message.
 */
export function providerAddress(provider: Provider, allowed: OperatorConfig['providers']): ProviderAddress {
  const text = provider.url ?? ownUrls[provider.type];
  const url = text === undefined ? null : URL.parse(text);
  if (!url) return refuse('InvalidSpec', `url is needed for ${provider.type}: an absolute https URL`);
  if (url.protocol !== 'https:') return refuse('InvalidSpec', `url must begin with https://`);
  if (url.username || url.password || url.search || url.hash) {
    return refuse('InvalidSpec', 'url must have no user, password, query or fragment');
  }
  if (allowed.allowedHosts.length > 0 && !listsHost(allowed.allowedHosts, url)) {
    return refuse('HostNotAllowed', `host ${url.host} is not among the operator's providers.allowedHosts`);
  }
  const inside = insideAddress(url.hostname, allowed.allowedCIDRs);
  if (inside) return refuse('HostNotAllowed', inside);
  return { ok: true, url, baseUrl: `${url.origin}${url.pathname.replace(/\/+$/, '')}` };
}

/** Whether a Secret may be sent to this URL: its owner said so, or the host is the provider's own. */
export function isShared(secret: Secret, url: URL): boolean {
  if (url.port === '' && Object.values(ownHosts).includes(url.hostname)) return true;
  return isSharedWith(secret.metadata, url);
}

/** Suffixes of names that mean something inside the cluster or the pod only. */
const insideSuffixes = ['.svc', '.cluster.local', '.localhost', '.local', '.internal'];

function insideAddress(hostname: string, allowedCIDRs: readonly string[]): string | undefined {
  const address = hostname.replace(/^\[|\]$/g, '');
  const cure = "have its addresses added to the operator's providers.allowedCIDRs";
  if (isIP(address) === 0) {
    const name = hostname.replace(/\.$/, '');
    const inside = !name.includes('.') || insideSuffixes.some((suffix) => name.endsWith(suffix));
    if (!inside || allowedCIDRs.length > 0) return undefined;
    return `host ${hostname} is a name inside the cluster; use a public host, or ${cure}`;
  }
  const reason = addressCheck({ allowedCIDRs, deniedCIDRs: [] })(address);
  return reason && `address ${address} is ${reason}; use a public host, or ${cure}`;
}

function refuse(reason: 'InvalidSpec' | 'HostNotAllowed', message: string): ProviderAddress {
  return { ok: false, reason, message };
}
