import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { errorMessage, UserError } from '../process/errors.ts';

/** What a TLS connection to the API server needs; PEM texts. */
export interface TlsMaterial {
  ca?: string | Buffer;
  cert?: string | Buffer;
  key?: string | Buffer;
  /** The name to check the server's certificate against, where it is not the host. */
  servername?: string;
  /** False only where a kubeconfig says `insecure-skip-tls-verify`. */
  rejectUnauthorized?: boolean;
}

/** Who we are to which API server. */
export interface Credentials {
  /** `https://HOST:PORT`, with a path where the API server is behind one. */
  server: string;
  /** The material for the next connection: another object whenever it has changed. */
  tls(): TlsMaterial;
  /** Value of the `authorization` header; undefined where the certificate says who we are. */
  authorization(): string | undefined | Promise<string | undefined>;
  /** The server refused the credentials: read them again before the next call. */
  refresh(): void;
  /** The namespace that the credentials belong to. */
  namespace: string;
}

/** Where kubelet mounts the service account of a pod. */
export const serviceAccountDir = '/var/run/secrets/kubernetes.io/serviceaccount';

/** kubelet replaces a projected token after 80 % of its life, at least ten minutes: a minute's delay is always in time. */
const rereadMs = 60_000;

/** Whether this process runs in a pod whose service account it may use. */
export function runsInCluster(env: NodeJS.ProcessEnv = process.env): boolean {
  return Boolean(env['KUBERNETES_SERVICE_HOST'] && env['KUBERNETES_SERVICE_PORT']);
}

/**
 * The credentials of the pod's service account. Token and authority are read again every 60 s, so that both can be rotated;
 * what was read last stays in use while a file can't be read. Throws a `UserError` when there are none.
 */
export function inClusterCredentials(
  dir: string = serviceAccountDir,
  env: NodeJS.ProcessEnv = process.env,
): Credentials {
  const host = env['KUBERNETES_SERVICE_HOST'];
  const port = env['KUBERNETES_SERVICE_PORT'];
  if (!host || !port) {
    throw new UserError(
      'NotInCluster',
      'KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set: run in a pod, or pass --kubeconfig',
    );
  }
  const token = rereadFile(join(dir, 'token'));
  const ca = rereadFile(join(dir, 'ca.crt'));
  let material: TlsMaterial = { ca: ca.read() };
  token.read();
  return {
    server: `https://${host.includes(':') ? `[${host}]` : host}:${port}`,
    tls() {
      const current = ca.read();
      if (current !== material.ca) material = { ca: current };
      return material;
    },
    authorization: () => `Bearer ${token.read()}`,
    refresh: () => token.forget(),
    namespace: optional(join(dir, 'namespace')) ?? 'default',
  };
}

/** A small file whose content is kept for a minute. Reading it costs microseconds: it is in memory (tmpfs). */
function rereadFile(path: string): { read(): string; forget(): void } {
  let text: string | undefined;
  let readAt = 0;
  return {
    read() {
      const now = performance.now();
      if (text !== undefined && now - readAt < rereadMs) return text;
      readAt = now;
      try {
        text = readFileSync(path, 'utf8').trim();
      } catch (error) {
        if (text !== undefined) return text;
        throw new UserError(
          'NoServiceAccount',
          `cannot read ${path}: ${errorMessage(error)}; the pod needs automountServiceAccountToken: true`,
        );
      }
      return text;
    },
    forget() {
      readAt = Number.NEGATIVE_INFINITY;
    },
  };
}

function optional(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    return undefined;
  }
}
