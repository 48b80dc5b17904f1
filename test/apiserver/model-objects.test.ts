import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { Applier } from '../../kube/applier.ts';
import { resources } from '../../kube/resources.ts';
import type { KubeObject, Resource } from '../../kube/types.ts';
import type { Deployment, Pod } from '../../operator/context.ts';
import { useApiServer } from '../support/api-server.ts';

const world = useApiServer('model-objects');
const golden = new URL('../golden/', import.meta.url);

/** The objects of a golden file, in the namespace of this test. */
function objectsOf(file: string): KubeObject[] {
  return parseAllDocuments(readFileSync(new URL(file, golden), 'utf8')).map((document) => {
    const object = document.toJS() as KubeObject;
    object.metadata.namespace = world.namespace;
    return object;
  });
}

function resourceOf({ kind }: KubeObject): Resource {
  const found = Object.values(resources).find((resource) => resource.kind === kind);
  if (!found) throw new Error(`no resource for ${kind}`);
  return found;
}

const newApplier = () =>
  new Applier({ cluster: world.kube, fieldManager: 'model-objects-test', intentAnnotation: 'cadre.dev/intent' });

/** The pod that the Deployment's controller would make, without the RuntimeClass, which this cluster does not have. */
function podOf(objects: KubeObject[]): Pod {
  const deployment = objects.find(({ kind }) => kind === 'Deployment') as Deployment;
  const template = deployment.spec?.template;
  if (!template?.spec) throw new Error('no pod template');
  const { runtimeClassName: _, ...spec } = template.spec;
  const metadata = {
    name: deployment.metadata.name,
    namespace: world.namespace,
    labels: template.metadata?.labels ?? {},
  };
  return { apiVersion: 'v1', kind: 'Pod', metadata, spec };
}

describe.each(readdirSync(golden).filter((file) => file.endsWith('.yaml')))('the objects of %s', (file) => {
  it('are taken by a real API server, and nothing is written when they are applied again by another process', async () => {
    const objects = objectsOf(file);
    for (const object of objects) {
      expect(await newApplier().apply(resourceOf(object), object, undefined)).toBe('Applied');
    }
    for (const object of objects) {
      const { name } = object.metadata;
      const live = await world.kube.get(resourceOf(object), name, world.namespace);
      expect(await newApplier().apply(resourceOf(object), object, live)).toBe('Unchanged');
      const after = await world.kube.get(resourceOf(object), name, world.namespace);
      expect(after.metadata.resourceVersion).toBe(live.metadata.resourceVersion);
    }
  });

  it('have a pod that a namespace with Pod Security "restricted" takes', async () => {
    const enforce = { 'pod-security.kubernetes.io/enforce': 'restricted' };
    const namespace = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: world.namespace, labels: enforce } };
    await world.kube.apply(resources.namespaces, namespace, { fieldManager: 'model-objects-test' });
    const pod = podOf(objectsOf(file));
    const onHost = { ...pod, metadata: { ...pod.metadata, name: 'on-host' }, spec: { ...pod.spec, hostNetwork: true } };
    await expect(world.kube.create(resources.pods, onHost as Pod)).rejects.toThrow('violates PodSecurity');
    await expect(world.kube.create(resources.pods, pod)).resolves.toMatchObject({ kind: 'Pod' });
  });
});
