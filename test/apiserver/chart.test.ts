import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, inject, it } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';
import { ensureBinaries } from '../../hack/local-cluster/build.ts';
import type { KubeObject, Resource } from '../../kube/types.ts';
import { operatorConfigSchema } from '../../operator/config.ts';
import { routerConfigSchema } from '../../runtime/router/config.ts';
import { useApiServer } from '../support/api-server.ts';

const run = promisify(execFile);
const chart = join(import.meta.dirname, '..', '..', 'charts', 'cadre');

interface Rendered {
  kind: string;
  metadata: { name: string; namespace?: string; annotations?: Record<string, string> };
  data?: Record<string, string>;
  spec?: { template?: { metadata: { labels: Record<string, string> }; spec: object } };
}

interface AccessReview extends KubeObject {
  spec: object;
  status?: { allowed: boolean };
}
const accessReviews: Resource = {
  apiVersion: 'authorization.k8s.io/v1',
  kind: 'SubjectAccessReview',
  plural: 'subjectaccessreviews',
  namespaced: false,
};

const server = useApiServer('chart');
let kubectl: (args: string[], objects?: object[]) => Promise<string>;
let helm: string;

/** What Helm makes of the chart, for the namespace of this file. Several `--set` at most. */
async function render(...set: string[]): Promise<Rendered[]> {
  const values = ['--values', join(chart, 'ci', 'values.yaml'), ...set.flatMap((value) => ['--set', value])];
  const args = ['template', 'cadre', chart, '--namespace', server.namespace, '--kube-version', 'v1.33.0', ...values];
  const { stdout } = await run(helm, args, { maxBuffer: 64 * 1024 * 1024 });
  return parseAllDocuments(stdout)
    .map((document) => document.toJS() as Rendered | null)
    .filter((object) => object !== null);
}

function find(objects: Rendered[], kind: string, name: string): Rendered {
  const found = objects.find((object) => object.kind === kind && object.metadata.name === name);
  if (!found) throw new Error(`the chart has no ${kind} ${name}`);
  return found;
}

beforeAll(async () => {
  const binaries = await ensureBinaries(console.log);
  helm = binaries.helm;
  const kubeconfig = inject('kubeconfig');
  kubectl = (args, objects) => {
    const child = run(binaries.cluster, ['kubectl', '--kubeconfig', kubeconfig, ...args]);
    if (objects) child.child.stdin?.end(JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects }));
    return child.then(
      ({ stdout }) => stdout,
      ({ stderr }: { stderr: string }) => Promise.reject(new Error(stderr)),
    );
  };
});

describe('a real kube-apiserver', () => {
  const apply = ['apply', '--server-side', '--validate=strict', '--filename=-'];

  it('takes every object of the chart, with every switch on', async () => {
    const on = ['monitoring.from[0].podSelector.matchLabels.app=prometheus', 'providers.ca.configMap=ca'];
    const more = ['imagePullSecrets[0].name=registry', 'operator.priorityClassName=high', 'watchNamespaces={a,b}'];
    const objects = await render(...on, ...more);
    const said = await kubectl([...apply, '--dry-run=server', '--namespace', server.namespace], objects);
    expect(said.trim().split('\n')).toHaveLength(objects.length);
  });

  it('lets the pods into a namespace that enforces the profile restricted', async () => {
    const objects = await render();
    await kubectl(['label', 'namespace', server.namespace, 'pod-security.kubernetes.io/enforce=restricted']);
    await kubectl(
      apply,
      objects.filter(({ kind }) => kind === 'ServiceAccount'),
    );
    const pods = ['cadre-operator', 'cadre-router'].map((name) => ({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name, namespace: server.namespace },
      spec: find(objects, 'Deployment', name).spec?.template?.spec,
    }));
    expect(await kubectl([...apply, '--dry-run=server'], pods)).toContain('pod/cadre-router serverside-applied');
  });

  it('allows operator and router what they need and no other Secret', async () => {
    const objects = await render();
    const access = new Set(['ServiceAccount', 'Role', 'RoleBinding', 'ClusterRole', 'ClusterRoleBinding']);
    await kubectl(
      apply,
      objects.filter(({ kind }) => access.has(kind)),
    );
    const may = async (who: 'operator' | 'router', verb: string, what: string, namespace: string): Promise<string> => {
      const [name = '', subresource = ''] = what.split('/');
      const [resource = '', ...group] = name.split('.');
      const review = await server.kube.create<AccessReview>(accessReviews, {
        apiVersion: accessReviews.apiVersion,
        kind: accessReviews.kind,
        metadata: { name: '' },
        spec: {
          user: `system:serviceaccount:${server.namespace}:cadre-${who}`,
          resourceAttributes: { verb, group: group.join('.'), resource, subresource, namespace },
        },
      });
      return review.status?.allowed ? 'yes' : 'no';
    };
    const own = server.namespace;
    const questions = [
      ['operator', 'get', 'secrets', 'default', 'yes'],
      ['operator', 'list', 'secrets', 'default', 'no'],
      ['operator', 'watch', 'secrets', 'default', 'no'],
      ['operator', 'list', 'secrets', own, 'yes'],
      ['operator', 'get', 'configmaps', 'default', 'yes'],
      ['operator', 'list', 'configmaps', 'default', 'no'],
      ['operator', 'watch', 'configmaps', own, 'no'],
      ['operator', 'create', 'pods', 'default', 'no'],
      ['operator', 'patch', 'deployments.apps', 'default', 'yes'],
      ['operator', 'patch', 'specializedmodels.cadre.dev/status', 'default', 'yes'],
      ['operator', 'patch', 'specializedmodels.cadre.dev', 'default', 'no'],
      ['operator', 'update', 'leases.coordination.k8s.io', own, 'yes'],
      ['operator', 'update', 'leases.coordination.k8s.io', 'default', 'no'],
      ['router', 'watch', 'secrets', own, 'yes'],
      ['router', 'get', 'secrets', 'default', 'no'],
      ['router', 'watch', 'endpointslices.discovery.k8s.io', 'default', 'yes'],
      ['router', 'list', 'pods', own, 'no'],
    ] as const;
    for (const [who, verb, what, where, expected] of questions)
      expect(`${who} ${verb} ${what}: ${await may(who, verb, what, where)}`).toBe(
        `${who} ${verb} ${what}: ${expected}`,
      );
  });
});

describe('the chart', () => {
  it('writes configuration that operator and router take, with the labels that its pods have', async () => {
    const objects = await render('drain.delaySeconds=3', 'router.bodyLimitBytes=209715200');
    const operator = operatorConfigSchema.parse(
      parse(find(objects, 'ConfigMap', 'cadre-operator').data?.['operator.yaml'] ?? ''),
    );
    const router = routerConfigSchema.parse(
      parse(find(objects, 'ConfigMap', 'cadre-router').data?.['router.yaml'] ?? ''),
    );
    expect(router).toMatchObject({ namespace: server.namespace, bodyLimitBytes: 209_715_200 });
    expect(operator.drain.delaySeconds).toBe(3);
    expect(operator.gpuProfiles['nvidia-l4']?.resourceName).toBe('nvidia.com/gpu');
    const labels = (name: string) => find(objects, 'Deployment', name).spec?.template?.metadata.labels;
    expect(labels('cadre-router')).toMatchObject(operator.routerSelector);
    expect(labels('cadre-operator')).toMatchObject(operator.operatorSelector);
    expect(find(objects, operator.routeOwner.kind, operator.routeOwner.name).metadata.namespace).toBe(server.namespace);
  });

  it('keeps the CRDs, and with them what users wrote, when it is uninstalled, unless told else', async () => {
    const crds = (objects: Rendered[]) => objects.filter(({ kind }) => kind === 'CustomResourceDefinition');
    const policies = (objects: Rendered[]) =>
      crds(objects).map(({ metadata }) => metadata.annotations?.['helm.sh/resource-policy']);
    expect(policies(await render())).toEqual(['keep', 'keep']);
    expect(policies(await render('crds.keep=false'))).toEqual([undefined, undefined]);
    expect(crds(await render('crds.enabled=false'))).toEqual([]);
  });

  it('refuses a value that it does not know, and Kubernetes before 1.33', async () => {
    await expect(render('operator.replica=3')).rejects.toThrow("additional properties 'replica' not allowed");
    const old = run(helm, [
      'template',
      chart,
      '--values',
      join(chart, 'ci', 'values.yaml'),
      '--kube-version',
      'v1.32.9',
    ]);
    await expect(old).rejects.toThrow('chart requires kubeVersion: >=1.33.0-0');
  });
});
