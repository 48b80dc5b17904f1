import { execFile } from 'node:child_process';
import { resolve } from 'node:path';
import { promisify } from 'node:util';
import { Agent, request } from 'undici';
import { afterAll, beforeAll, inject } from 'vitest';
import { ensureBinaries } from '../../hack/local-cluster/build.ts';
import { kubeconfigCredentials } from '../../kube/kubeconfig.ts';
import { eventually } from '../../process/testing/waiting.ts';
import { useApiServer } from './api-server.ts';

const run = promisify(execFile);
const root = resolve(import.meta.dirname, '../..');

/** An answer of the API server, as it is. */
export interface Answer {
  status: number;
  body: ApiBody;
}

/** An object, or metav1.Status. */
export interface ApiBody {
  message?: string;
  details?: { causes?: { field?: string; message: string }[] };
  metadata?: { resourceVersion?: string; managedFields?: { manager: string; subresource?: string }[] };
  spec?: Record<string, unknown>;
  status?: Record<string, unknown>;
}

export type Method = 'GET' | 'POST' | 'PATCH';

/** A real kube-apiserver with our CRDs, and a namespace of this file's own. */
export interface CrdServer {
  /** Sends JSON to a path in the namespace, such as `/routingpolicies/NAME`. A PATCH is a server-side apply. */
  call(method: Method, path: string, body?: object): Promise<Answer>;
  /** What real kubectl prints when it works in the namespace; its error output when it fails. */
  kubectl(...args: string[]): Promise<string>;
}

/** The API server that all files share, with the CRDs that are checked in. */
export function useCrdServer(prefix: string): CrdServer {
  const shared = useApiServer(prefix);
  const server = {} as CrdServer;
  let agent: Agent;
  beforeAll(async () => {
    const kubeconfig = inject('kubeconfig');
    const [{ cluster }, credentials] = await Promise.all([
      ensureBinaries(console.log),
      kubeconfigCredentials({ path: kubeconfig }),
    ]);
    agent = new Agent({ connect: credentials.tls() });
    server.kubectl = async (...args) => {
      const command = ['kubectl', '--kubeconfig', kubeconfig, '--namespace', shared.namespace, ...args];
      try {
        return (await run(cluster, command, { cwd: root })).stdout;
      } catch (error) {
        return (error as { stderr: string }).stderr;
      }
    };
    server.call = async (method, path, body) => {
      const url = `${credentials.server}/apis/cadre.dev/v1alpha1/namespaces/${shared.namespace}${path}`;
      const contentType = method === 'PATCH' ? 'application/apply-patch+yaml' : 'application/json';
      const { statusCode, body: answer } = await request(url, {
        method,
        dispatcher: agent,
        ...(body && { body: JSON.stringify(body), headers: { 'content-type': contentType } }),
      });
      return { status: statusCode, body: (await answer.json()) as ApiBody };
    };

    const applied = await server.kubectl('apply', '-f', 'crds/');
    await eventually(`the CRDs, applied with "${applied.trim()}"`, async () => {
      for (const plural of ['specializedmodels', 'routingpolicies']) {
        const { status, body } = await server.call('GET', `/${plural}`);
        if (status !== 200) throw new Error(`${plural}: ${status} ${body.message ?? ''}`);
      }
    });
  });
  afterAll(() => agent?.close());
  return server;
}
