import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parse } from 'yaml';
import { type ControlPlane, startControlPlane } from '../../hack/local-cluster/control-plane.ts';
import { systemNamespace } from '../../test/support/operator-configuration.ts';
import { type Api, openApi } from './api.ts';
import { configuration } from './fleet.ts';
import { say, until } from './progress.ts';

const crds = join(import.meta.dirname, '../../crds');

/** A control plane of its own for each part: what one part leaves behind does not slow the other. */
export async function onControlPlane<T>(
  dir: string,
  work: (plane: ControlPlane, dir: string) => Promise<T>,
): Promise<T> {
  const plane = await startControlPlane({ dir, log: say, components: ['kube-controller-manager', 'kube-scheduler'] });
  try {
    const api = await openApi(plane, 2);
    try {
      await prepare(api);
    } finally {
      await api.close();
    }
    return await work(plane, dir);
  } finally {
    await plane.stop();
  }
}

async function prepare(api: Api): Promise<void> {
  for (const file of ['cadre.dev_specializedmodels.yaml', 'cadre.dev_routingpolicies.yaml']) {
    const crd = parse(await readFile(join(crds, file), 'utf8')) as { metadata: { name: string } };
    const path = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
    await api.send('POST', path, crd);
    await until(`CRD ${crd.metadata.name}`, 30, async () => {
      const { status } = (await api.send('GET', `${path}/${crd.metadata.name}`)) as {
        status?: { conditions?: { type: string; status: string }[] };
      };
      return status?.conditions?.some(({ type, status: is }) => type === 'Established' && is === 'True') ?? false;
    });
  }
  for (const name of ['fleet', systemNamespace]) await api.send('POST', '/api/v1/namespaces', { metadata: { name } });
  const { name } = configuration.routeOwner;
  await api.send('POST', `/api/v1/namespaces/${systemNamespace}/configmaps`, { metadata: { name } });
}

/** A service account that may do everything, in a folder as kubelet mounts it. */
export async function serviceAccount(api: Api, caFile: string, dir: string): Promise<string> {
  const [name, namespace] = ['cadre-operator', systemNamespace];
  const accounts = `/api/v1/namespaces/${namespace}/serviceaccounts`;
  await api.send('POST', accounts, { metadata: { name } });
  await api.send('POST', '/apis/rbac.authorization.k8s.io/v1/clusterrolebindings', {
    metadata: { name },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'cluster-admin' },
    subjects: [{ kind: 'ServiceAccount', name, namespace }],
  });
  const request = { spec: { expirationSeconds: 86_400 } };
  const { status } = await api.send('POST', `${accounts}/${name}/token`, request);
  const folder = join(dir, 'service-account');
  await mkdir(folder);
  await writeFile(join(folder, 'token'), (status as { token: string }).token, { mode: 0o600 });
  await writeFile(join(folder, 'namespace'), namespace);
  await copyFile(caFile, join(folder, 'ca.crt'));
  return folder;
}
