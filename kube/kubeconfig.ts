import { readFileSync } from 'node:fs';
import type { RequestOptions } from 'node:https';
import { errorMessage, UserError } from '../process/errors.ts';
import type { Credentials, TlsMaterial } from './credentials.ts';

export interface KubeconfigOptions {
  /** Default: `$KUBECONFIG`, then `~/.kube/config`, as kubectl does. */
  path?: string | undefined;
  /** Default: the file's current context. */
  context?: string | undefined;
}

/**
 * Credentials of a kubeconfig: client certificates, tokens, exec plugins, OIDC. Loads @kubernetes/client-node, which costs
 * half a second and 90 MB, so that in a cluster it is never loaded. Throws a `UserError` that says what is missing.
 */
export async function kubeconfigCredentials({ path, context }: KubeconfigOptions = {}): Promise<Credentials> {
  const { KubeConfig } = await import('@kubernetes/client-node');
  const config = new KubeConfig();
  const where = path ?? process.env['KUBECONFIG'] ?? '~/.kube/config';
  try {
    if (path === undefined) config.loadFromDefault();
    else config.loadFromFile(path);
  } catch (error) {
    throw new UserError('BadKubeconfig', `cannot read the kubeconfig ${where}: ${errorMessage(error)}`, {
      cause: error,
    });
  }
  if (context !== undefined) {
    const names = config.getContexts().map(({ name }) => name);
    if (!names.includes(context)) {
      const there = names.join(', ') || 'none';
      throw new UserError(
        'UnknownContext',
        `--context ${context}: the kubeconfig ${where} has no such context (${there})`,
      );
    }
    config.setCurrentContext(context);
  }
  const cluster = config.getCurrentCluster();
  const user = config.getCurrentUser();
  // client-node's answer when it finds no kubeconfig at all.
  const invented = path === undefined && cluster?.server === 'http://localhost:8080';
  if (!cluster || invented) {
    throw new UserError(
      'NoCluster',
      `the kubeconfig ${where} names no current cluster: pass --kubeconfig or --context`,
    );
  }
  if (cluster.proxyUrl) {
    throw new UserError('ProxyUnsupported', `the kubeconfig ${where} has a proxy-url, which is not supported`);
  }

  const ca = pem(cluster.caFile, cluster.caData);
  const server: TlsMaterial = {
    ...(ca ? { ca } : {}),
    ...(cluster.tlsServerName ? { servername: cluster.tlsServerName } : {}),
    ...(cluster.skipTLSVerify ? { rejectUnauthorized: false } : {}),
  };
  let material = withClient(server, pem(user?.certFile, user?.certData), pem(user?.keyFile, user?.keyData));
  const dynamic = Boolean(user?.exec ?? user?.authProvider);

  return {
    server: cluster.server,
    tls: () => material,
    /** client-node keeps what a plugin printed until it expires, and may find a client certificate in it. */
    async authorization() {
      if (!dynamic && user?.token) return `Bearer ${user.token}`;
      if (!dynamic && !user?.username) return undefined;
      const options: RequestOptions = {};
      await config.applyToHTTPSOptions(options);
      const { auth } = options;
      const [cert, key] = [options.cert as string | Buffer | undefined, options.key as string | Buffer | undefined];
      if (dynamic && cert && key && String(cert) !== String(material.cert)) material = withClient(server, cert, key);
      const header = (options.headers as Record<string, unknown> | undefined)?.['Authorization'];
      if (typeof header === 'string') return header;
      return auth ? `Basic ${Buffer.from(auth).toString('base64')}` : undefined;
    },
    refresh: () => undefined,
    namespace: config.getContextObject(config.getCurrentContext())?.namespace ?? 'default',
  };
}

function withClient(server: TlsMaterial, cert?: string | Buffer, key?: string | Buffer): TlsMaterial {
  return { ...server, ...(cert ? { cert } : {}), ...(key ? { key } : {}) };
}

function pem(file: string | undefined, data: string | undefined): Buffer | undefined {
  if (data) return Buffer.from(data, 'base64');
  if (!file) return undefined;
  try {
    return readFileSync(file);
  } catch (error) {
    throw new UserError('BadKubeconfig', `the kubeconfig names ${file}: ${errorMessage(error)}`, { cause: error });
  }
}
