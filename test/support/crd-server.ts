import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { Agent, request } from 'undici';
import { ensureBinaries } from '../../hack/local-cluster/build.ts';
import { startControlPlane } from '../../hack/local-cluster/control-plane.ts';
import { eventually } from './eventually.ts';

const run = promisify(execFile);
const root = resolve(import.meta.dirname, '../..');
const group = '/apis/cadre.dev/v1alpha1';

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

export type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

/** A real kube-apiserver with our CRDs. */
export interface CrdServer {
  /** Sends JSON. A PATCH is a server-side apply, which forces. `path` begins behind `/apis/cadre.dev/v1alpha1`. */
  call(method: Method, path: string, body?: object): Promise<Answer>;
  /** What real kubectl prints; its error output when it fails. */
  kubectl(...args: string[]): Promise<string>;
  stop(): Promise<void>;
}

/** Starts etcd and kube-apiserver, applies the CRDs that are checked in, and waits until they are served. */
export async function startCrdServer(): Promise<CrdServer> {
  const dir = await mkdtemp(join(tmpdir(), 'cadre-crds-'));
  const log = (line: string): void => console.log(line);
  const { cluster } = await ensureBinaries(log);
  const plane = await startControlPlane({ dir, log });
  const [ca, cert, key] = await Promise.all(
    [plane.caFile, plane.adminCert, plane.adminKey].map((file) => readFile(file, 'utf8')),
  );
  const agent = new Agent({ connect: { ca, cert, key } });

  const call: CrdServer['call'] = async (method, path, body) => {
    const { statusCode, body: answer } = await request(`${plane.url}${group}${path}`, {
      method,
      dispatcher: agent,
      ...(body && {
        body: JSON.stringify(body),
        headers: { 'content-type': method === 'PATCH' ? 'application/apply-patch+yaml' : 'application/json' },
      }),
    });
    return { status: statusCode, body: (await answer.json()) as ApiBody };
  };
  const kubectl: CrdServer['kubectl'] = async (...args) => {
    try {
      return (await run(cluster, ['kubectl', '--kubeconfig', plane.kubeconfig, ...args], { cwd: root })).stdout;
    } catch (error) {
      return (error as { stderr: string }).stderr;
    }
  };
  const stop = async (): Promise<void> => {
    await agent.close();
    await plane.stop();
    await rm(dir, { recursive: true });
  };

  const applied = await kubectl('apply', '-f', 'crds/');
  await eventually(`the CRDs, applied with "${applied.trim()}"`, async () => {
    for (const plural of ['specializedmodels', 'routingpolicies']) {
      const { status, body } = await call('GET', `/${plural}`);
      if (status !== 200) throw new Error(`${plural}: ${status} ${body.message ?? ''}`);
    }
  });
  return { call, kubectl, stop };
}
