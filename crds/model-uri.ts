import { InvalidValueError } from './invalid-value.ts';
import { dnsNamePattern, hostPattern, portPattern } from './url-parts.ts';

/** Where weights, or an adapter of them, are. Paths are relative, without empty, `.` or `..` segments. */
export type ModelUri = PvcUri | HubUri | HttpsUri;

/** A file or folder in a PersistentVolumeClaim of the model's namespace. */
export interface PvcUri {
  scheme: 'pvc';
  claim: string;
  path: string;
}

/** A repository on the Hugging Face hub, or one file of it. */
export interface HubUri {
  scheme: 'hf';
  owner: string;
  repo: string;
  /** Path in the repository; absent: all of it. */
  file?: string;
}

/** One file from a web server. */
export interface HttpsUri {
  scheme: 'https';
  url: string;
  /** Host with its port, when it has one. */
  host: string;
  /** Last segment of the path. */
  fileName: string;
}

/** A file name that does not start with a dot; none of these characters means anything to a URL or to a shell. */
const hubName = '[A-Za-z0-9][A-Za-z0-9._-]{0,95}';
/** A path segment: any safe characters, but not `.` or `..` (so: a dot at its start is followed by another character). */
const segment = '(\\.{0,2}[A-Za-z0-9_+@=,~-]|\\.{3})[A-Za-z0-9._+@=,~-]*';
const path = `${segment}(/${segment})*`;

/** The shape of each scheme, in the syntax that RE2 (CEL) and JavaScript share. */
export const modelUriPatterns = {
  pvc: `^pvc://${dnsNamePattern}/${path}$`,
  hf: `^hf://${hubName}/${hubName}(/${path})?$`,
  https: `^https://${hostPattern}${portPattern}/${path}$`,
} as const;

/**
 * What is wrong with a URI of each scheme, and how to write it. Also the messages of the CRD's rules.
 *
 * @param field the field that has the URI, e.g. `model.uri`
 */
export const modelUriMessages = (field: string) => ({
  scheme: `${field} must start with pvc://, hf:// or https://`,
  pvc: `${field} with pvc must be pvc://CLAIM/PATH: a claim of the same namespace and a path without empty, "." or ".." parts, spaces, "%", "?" or "#"`,
  claim: `${field} must name a claim of at most 253 characters`,
  hf: `${field} with hf must be hf://OWNER/REPO or hf://OWNER/REPO/FILE, without empty, "." or ".." parts, spaces, "%", "?" or "#"`,
  https: `${field} with https must be https://HOST[:PORT]/PATH in lower-case host, without user name, query, fragment, "%" or empty, "." or ".." parts`,
});

/** Longest name of a claim. */
export const maxClaimLength = 253;
/** Longest URI. */
export const maxModelUriLength = 1024;

/**
 * Takes `spec.model.uri` apart, or that of `field`.
 *
 * @throws InvalidValueError with the message that the API server gives for the same text.
 */
export function parseModelUri(uri: string, field = 'model.uri'): ModelUri {
  const problem = modelUriProblem(uri, field);
  if (problem) throw new InvalidValueError(problem);
  const [scheme = '', rest = ''] = uri.split('://');
  const [first = '', second = '', ...more] = rest.split('/');
  if (scheme === 'pvc') return { scheme, claim: first, path: [second, ...more].join('/') };
  if (scheme === 'hf') {
    return more.length > 0
      ? { scheme, owner: first, repo: second, file: more.join('/') }
      : { scheme, owner: first, repo: second };
  }
  return { scheme: 'https', url: uri, host: first, fileName: more.at(-1) ?? second };
}

/** What is wrong with a model URI; undefined when nothing is. */
export function modelUriProblem(uri: string, field = 'model.uri'): string | undefined {
  const messages = modelUriMessages(field);
  if (uri.length > maxModelUriLength) return `${field} must be at most ${maxModelUriLength} characters long`;
  const scheme = (['pvc', 'hf', 'https'] as const).find((name) => uri.startsWith(`${name}://`));
  if (!scheme) return messages.scheme;
  if (!new RegExp(modelUriPatterns[scheme]).test(uri)) return messages[scheme];
  return scheme === 'pvc' && uri.indexOf('/', 6) > 6 + maxClaimLength ? messages.claim : undefined;
}
