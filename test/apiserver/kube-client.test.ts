import { Registry } from 'prom-client';
import { describe, expect, inject, it } from 'vitest';
import { connect } from '../../kube/connect.ts';
import { resources } from '../../kube/resources.ts';
import { type ConfigMap } from '../../kube/testing/objects.ts';
import type { KubeObject } from '../../kube/types.ts';
import { useApiServer } from '../support/api-server.ts';

const world = useApiServer('client');
const fieldManager = 'test';

function configMap(name: string, data: Record<string, string> = {}): ConfigMap {
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, namespace: world.namespace }, data };
}

const misspelt = (name: string): KubeObject => Object.assign(configMap(name), { dataa: { a: 'b' } });

describe('the client', () => {
  it('is told of a field that does not exist, and nothing is written', async () => {
    const { kube, namespace } = world;
    await expect(kube.create(resources.configMaps, misspelt('typo'))).rejects.toMatchObject({
      code: 'BadRequest',
      message: expect.stringContaining('unknown field "dataa"'),
    });
    await expect(kube.apply(resources.configMaps, misspelt('typo'), { fieldManager })).rejects.toMatchObject({
      code: 'Invalid',
      message: expect.stringContaining('.dataa: field not declared in schema'),
    });
    await expect(kube.get(resources.configMaps, 'typo', namespace)).rejects.toMatchObject({
      code: 'NotFound',
      status: 404,
      message: `get configmaps ${namespace}/typo: configmaps "typo" not found`,
    });
  });

  it('names the fields that the server finds wrong', async () => {
    const { kube, namespace } = world;
    const service = {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'web', namespace },
      spec: { ports: [{ port: 0 }] },
    };
    await expect(kube.create(resources.services, service)).rejects.toMatchObject({
      code: 'Invalid',
      status: 422,
      fields: expect.arrayContaining([expect.objectContaining({ field: 'spec.ports[0].port' })]),
    });
  });

  it('refuses a name that would read something else', async () => {
    const { kube, namespace } = world;
    for (const name of ['', '.', '..']) {
      await expect(kube.get(resources.secrets, name, namespace)).rejects.toMatchObject({ code: 'Invalid' });
    }
    for (const name of ['a/../b', 'a?x=y', 'a%2fb', 'ä']) {
      await expect(kube.get(resources.secrets, name, namespace)).rejects.toMatchObject({ status: expect.any(Number) });
    }
  });

  it('reads a list page by page', async () => {
    const { kube, namespace } = world;
    const names = ['p1', 'p2', 'p3', 'p4', 'p5'];
    for (const name of names) {
      const { metadata, ...rest } = configMap(name);
      await kube.create(resources.configMaps, { ...rest, metadata: { ...metadata, labels: { pages: 'yes' } } });
    }
    const selection = { namespace, labelSelector: 'pages=yes' };
    const pages: string[][] = [];
    let next: string | undefined;
    do {
      const page = await kube.list(resources.configMaps, selection, { limit: 2, ...(next && { continue: next }) });
      expect(page.items.every(({ kind, apiVersion }) => kind === 'ConfigMap' && apiVersion === 'v1')).toBe(true);
      pages.push(page.items.map(({ metadata }) => metadata.name));
      next = page.continue;
    } while (next !== undefined);
    expect(pages).toEqual([['p1', 'p2'], ['p3', 'p4'], ['p5']]);
  });

  it('deletes the object that it means and no other of its name', async () => {
    const { kube, namespace } = world;
    const first = await kube.create(resources.configMaps, configMap('twice'));
    const uid = first.metadata.uid ?? '';
    await kube.delete(resources.configMaps, 'twice', namespace, { uid });
    const second = await kube.create(resources.configMaps, configMap('twice'));
    await kube.delete(resources.configMaps, 'twice', namespace, { uid });
    const { metadata } = await kube.get(resources.configMaps, 'twice', namespace);
    expect(metadata.uid).toBe(second.metadata.uid);
    await kube.delete(resources.configMaps, 'never-was', namespace);
  });

  it('replaces an object only as it was read', async () => {
    const { kube } = world;
    const read = await kube.create(resources.configMaps, configMap('replaced'));
    await kube.replace(resources.configMaps, { ...read, data: { a: '1' } });
    const late = kube.replace(resources.configMaps, { ...read, data: { a: '2' } });
    await expect(late).rejects.toMatchObject({ code: 'Conflict' });
  });

  it('gives a call up when its caller does', async () => {
    const { kube, namespace } = world;
    const call = kube.get(resources.configMaps, 'x', namespace, { signal: AbortSignal.abort() });
    await expect(call).rejects.toMatchObject({ code: 'Aborted' });
  });

  it('counts its requests as client-go does', async () => {
    const registry = new Registry();
    const kube = await connect({ registry, kubeconfig: { path: inject('kubeconfig') } });
    try {
      await kube.apply(resources.configMaps, configMap('counted'), { fieldManager });
      await expect(kube.get(resources.secrets, 'none', world.namespace)).rejects.toThrow('not found');
      const { host } = new URL(kube.server);
      const text = await registry.metrics();
      const sample = (labels: string): string => `rest_client_requests_total{${labels}} 1`;
      expect(text).toContain(sample(`code="201",method="PATCH",host="${host}",resource="configmaps"`));
      expect(text).toContain(sample(`code="404",method="GET",host="${host}",resource="secrets"`));
    } finally {
      await kube.close();
    }
  });

  it('says that it cannot connect where nothing listens', async () => {
    const { kubeconfigCredentials } = await import('../../kube/kubeconfig.ts');
    const { KubeClient } = await import('../../kube/client.ts');
    const credentials = await kubeconfigCredentials({ path: inject('kubeconfig') });
    const kube = new KubeClient({ ...credentials, server: 'https://127.0.0.1:1' });
    const call = kube.get(resources.secrets, 'x', 'default');
    await expect(call).rejects.toMatchObject({
      code: 'ConnectFailed',
      message: expect.stringContaining('ECONNREFUSED'),
    });
    await kube.close();
  });
});
