import { describe, expect, it } from 'vitest';
import { Applier, ChildNameTaken } from '../../kube/applier.ts';
import { Reflector } from '../../kube/reflector.ts';
import { resources } from '../../kube/resources.ts';
import { type ConfigMap, silent } from '../../kube/testing/objects.ts';
import type { Cluster, KubeObject, OwnerReference, Resource } from '../../kube/types.ts';
import { until } from '../../process/testing/waiting.ts';
import { useApiServer } from '../support/api-server.ts';

const world = useApiServer('applier');
const intentAnnotation = 'cadre.dev/intent';

const newApplier = (fieldManager = 'test'): Applier =>
  new Applier({ cluster: world.kube, fieldManager, intentAnnotation });

const owner: OwnerReference = { apiVersion: 'v1', kind: 'ConfigMap', name: 'owner', uid: 'our-uid', controller: true };

function configMap(name: string, data: Record<string, string>, ...owners: OwnerReference[]): ConfigMap {
  const metadata = { name, namespace: world.namespace, ...(owners.length > 0 && { ownerReferences: owners }) };
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata, data };
}

/** An API server that must not be asked. */
function refusing(): Cluster {
  return new Proxy(world.kube, { get: (_, method) => () => Promise.reject(new Error(`asked to ${String(method)}`)) });
}

const live = <T extends KubeObject = ConfigMap>(name: string, resource: Resource = resources.configMaps): Promise<T> =>
  world.kube.get<T>(resource, name, world.namespace);

const labels = { app: 'engine' };

/** One object of each kind that the operator makes, with values that the server writes in another way. */
const objects: [keyof typeof resources, object][] = [
  ['serviceAccounts', { automountServiceAccountToken: false }],
  ['services', { spec: { selector: labels, ports: [{ name: 'http', port: 80, targetPort: 'http' }] } }],
  [
    'deployments',
    {
      spec: {
        replicas: 2,
        selector: { matchLabels: labels },
        template: {
          metadata: { labels },
          spec: {
            initContainers: [{ name: 'sidecar', image: 'cadre', restartPolicy: 'Always' }],
            containers: [
              {
                name: 'engine',
                image: 'engine',
                args: ['--port=80'],
                ports: [{ name: 'http', containerPort: 80 }],
                resources: { requests: { cpu: '0.5', memory: '1024Mi' }, limits: { cpu: 2, memory: '2e9' } },
                readinessProbe: { httpGet: { path: '/', port: 'http' } },
                securityContext: { capabilities: { drop: ['ALL'] }, seccompProfile: { type: 'RuntimeDefault' } },
                volumeMounts: [{ name: 'shm', mountPath: '/dev/shm' }],
              },
            ],
            volumes: [{ name: 'shm', emptyDir: { medium: 'Memory', sizeLimit: '2048Mi' } }],
          },
        },
      },
    },
  ],
  ['podDisruptionBudgets', { spec: { maxUnavailable: 1, selector: { matchLabels: labels } } }],
  [
    'networkPolicies',
    {
      spec: {
        podSelector: { matchLabels: labels },
        policyTypes: ['Ingress'],
        ingress: [{ from: [{ podSelector: {} }], ports: [{ port: 'http' }] }],
      },
    },
  ],
  ['secrets', { type: 'Opaque', data: { route: Buffer.from('{}').toString('base64') } }],
];

describe('the applier', () => {
  it.each(objects)('creates one of %s by one call, and has nothing to do after that', async (plural, content) => {
    const resource = resources[plural];
    const { apiVersion, kind } = resource;
    const metadata = { name: `kind-${resource.plural}`, namespace: world.namespace, labels, ownerReferences: [owner] };
    const desired = { apiVersion, kind, metadata, ...content } as KubeObject;
    expect(await newApplier().apply(resource, desired, undefined)).toBe('Applied');
    const first = await live(metadata.name, resource);
    // Another process, which remembers nothing, and does not need to ask.
    const deaf = new Applier({ cluster: refusing(), fieldManager: 'test', intentAnnotation });
    expect(await deaf.apply(resource, desired, first)).toBe('Unchanged');
  });

  it('takes away a field that is no longer wanted', async () => {
    const applier = newApplier();
    await applier.apply(resources.configMaps, configMap('fewer', { a: '1', b: '2' }, owner), undefined);
    expect(await applier.apply(resources.configMaps, configMap('fewer', { a: '1' }, owner), await live('fewer'))).toBe(
      'Applied',
    );
    expect((await live('fewer')).data).toEqual({ a: '1' });
  });

  it('takes back what somebody changed, and leaves what somebody added', async () => {
    const desired = configMap('drift', { a: '1' }, owner);
    const applier = newApplier();
    await applier.apply(resources.configMaps, desired, undefined);
    await world.kube.apply(resources.configMaps, configMap('drift', { a: 'changed', b: 'added' }), {
      fieldManager: 'human',
    });
    expect(await applier.apply(resources.configMaps, desired, await live('drift'))).toBe('Applied');
    expect((await live('drift')).data).toEqual({ a: '1', b: 'added' });
    expect(await applier.apply(resources.configMaps, desired, await live('drift'))).toBe('Unchanged');
  });

  it.each([
    ['of nobody', []],
    ['of another owner', [{ ...owner, uid: 'their-uid', name: 'theirs' }]],
  ])('never writes to an object %s, whether the cache knows of it or not', async (whose, owners) => {
    const name = `taken-${whose.split(' ').at(-1)}`;
    const theirs = await world.kube.create(resources.configMaps, configMap(name, { a: 'theirs' }, ...owners));
    const desired = configMap(name, { a: 'theirs' }, owner);
    for (const known of [theirs, undefined]) {
      await expect(newApplier().apply(resources.configMaps, desired, known)).rejects.toThrow(ChildNameTaken);
    }
    const now = await live(name);
    expect(now.metadata.resourceVersion).toBe(theirs.metadata.resourceVersion);
  });

  it('adopts what a process before it made and did not live to see', async () => {
    const desired = configMap('orphaned-answer', { a: '1' }, owner);
    await newApplier().apply(resources.configMaps, desired, undefined);
    const before = await live('orphaned-answer');
    expect(await newApplier().apply(resources.configMaps, desired, undefined)).toBe('Unchanged');
    expect((await live('orphaned-answer')).metadata.resourceVersion).toBe(before.metadata.resourceVersion);
  });

  it('does not write to an object that took the place of the one that the cache shows', async () => {
    const desired = configMap('replaced', { a: '1' }, owner);
    await newApplier().apply(resources.configMaps, desired, undefined);
    const stale = await live('replaced');
    await world.kube.delete(resources.configMaps, 'replaced', world.namespace);
    const changed = configMap('replaced', { a: '2' }, owner);
    await expect(newApplier().apply(resources.configMaps, changed, stale)).rejects.toMatchObject({ code: 'Conflict' });
    const theirs = await world.kube.create(resources.configMaps, configMap('replaced', { a: 'theirs' }));
    await expect(newApplier().apply(resources.configMaps, changed, stale)).rejects.toMatchObject({ code: 'Conflict' });
    expect((await live('replaced')).metadata.resourceVersion).toBe(theirs.metadata.resourceVersion);
  });

  it('does not repeat a write that the cache does not show yet, and does make the next one', async () => {
    const applier = newApplier();
    const at = (value: string): ConfigMap => configMap('behind', { a: value }, owner);
    await applier.apply(resources.configMaps, at('1'), undefined);
    const stale = await live('behind');
    expect(await applier.apply(resources.configMaps, at('2'), stale)).toBe('Applied');
    const version = (await live('behind')).metadata.resourceVersion;
    expect(await applier.apply(resources.configMaps, at('2'), stale)).toBe('Unchanged');
    expect((await live('behind')).metadata.resourceVersion).toBe(version);
    // What the stale cache shows is not what is there: going back to it is a change.
    expect(await applier.apply(resources.configMaps, at('1'), stale)).toBe('Applied');
    expect((await live('behind')).data).toEqual({ a: '1' });
  });

  it('tells an object that is not in the cache yet from one that is gone again', async () => {
    const { kube, namespace } = world;
    const reflector = new Reflector<ConfigMap>({
      cluster: kube,
      resource: resources.configMaps,
      namespaces: [namespace],
      labelSelector: 'gone=yes',
      log: silent,
    });
    reflector.start();
    await reflector.synced();
    const reached = (_: Resource, within: string | undefined): string | undefined => reflector.reached(within);
    const applier = new Applier({ cluster: kube, fieldManager: 'test', intentAnnotation, reached });
    const { metadata, ...rest } = configMap('gone-again', { a: '1' }, owner);
    const desired: ConfigMap = { ...rest, metadata: { ...metadata, labels: { gone: 'yes' } } };
    const key = `${namespace}/gone-again`;
    expect(await applier.apply(resources.configMaps, desired, undefined)).toBe('Applied');
    await until('the object in the cache', () => reflector.store.get(key));
    await kube.delete(resources.configMaps, 'gone-again', namespace);
    await until('the object out of the cache', () => !reflector.store.get(key));
    expect(await applier.apply(resources.configMaps, desired, undefined)).toBe('Applied');
    await until('the object in the cache again', () => reflector.store.get(key));
    await reflector.stop();
  });

  it('applies once, and not again, what the server writes in another way', async () => {
    const applier = newApplier();
    const { metadata } = configMap('normal', {}, owner);
    const secret = { apiVersion: 'v1', kind: 'Secret', metadata, stringData: { token: 'x' } };
    await applier.apply(resources.secrets, secret, undefined);
    const first = await live('normal', resources.secrets);
    expect(await applier.apply(resources.secrets, secret, first)).toBe('Unchanged');
    expect(await applier.apply(resources.secrets, secret, first)).toBe('Unchanged');
    expect((await live('normal', resources.secrets)).metadata.resourceVersion).toBe(first.metadata.resourceVersion);
  });

  it('deletes only the very object that it was given', async () => {
    const applier = newApplier();
    await applier.apply(resources.configMaps, configMap('leftover', { a: '1' }, owner), undefined);
    const stale = await live('leftover');
    expect(await applier.prune(resources.configMaps, [stale])).toBe(1);
    expect(await applier.prune(resources.configMaps, [stale])).toBe(0);
    const theirs = await world.kube.create(resources.configMaps, configMap('leftover', { a: 'theirs' }));
    expect(await newApplier().prune(resources.configMaps, [stale])).toBe(1);
    expect((await live('leftover')).metadata.uid).toBe(theirs.metadata.uid);
  });
});

describe('the applier of a status', () => {
  interface Claim extends KubeObject {
    status?: { conditions?: object[]; phase?: string };
  }
  const resource = resources.podDisruptionBudgets;
  const condition = (status: string): object => ({
    type: 'Ready',
    status,
    reason: 'Because',
    message: '',
    lastTransitionTime: '2026-01-01T00:00:00Z',
  });
  const statusOf = (expectedPods: number, ...conditions: object[]): object => ({
    observedGeneration: 1,
    disruptionsAllowed: 0,
    currentHealthy: 0,
    desiredHealthy: 0,
    expectedPods,
    ...(conditions.length > 0 && { conditions }),
  });

  async function budget(name: string): Promise<Claim> {
    const { apiVersion, kind } = resource;
    const spec = { maxUnavailable: 1, selector: { matchLabels: { app: name } } };
    const object = { apiVersion, kind, metadata: { name, namespace: world.namespace }, spec };
    return world.kube.create<Claim>(resource, object);
  }

  it('writes a status once', async () => {
    const object = await budget('status');
    const status = statusOf(1, condition('True'));
    expect(await newApplier().applyStatus(resource, object, status)).toBe('Applied');
    const first = await live<Claim>('status', resource);
    expect(await newApplier().applyStatus(resource, first, status)).toBe('Unchanged');
    expect((await live('status', resource)).metadata.resourceVersion).toBe(first.metadata.resourceVersion);
  });

  it('does not repeat it while the cache is behind', async () => {
    const applier = newApplier();
    const object = await budget('status-behind');
    await applier.applyStatus(resource, object, statusOf(1, condition('True')));
    const version = (await live('status-behind', resource)).metadata.resourceVersion;
    expect(await applier.applyStatus(resource, object, statusOf(1, condition('True')))).toBe('Unchanged');
    expect((await live('status-behind', resource)).metadata.resourceVersion).toBe(version);
    expect(await applier.applyStatus(resource, object, statusOf(1, condition('False')))).toBe('Applied');
  });

  it('removes what is no longer said', async () => {
    const applier = newApplier();
    await applier.applyStatus(resource, await budget('status-less'), statusOf(1, condition('True')));
    await applier.applyStatus(resource, await live<Claim>('status-less', resource), statusOf(1));
    expect((await live<Claim>('status-less', resource)).status?.conditions).toBeUndefined();
  });

  it('never makes an object, nor writes to one that took the place of another', async () => {
    const object = await budget('status-gone');
    await world.kube.delete(resource, 'status-gone', world.namespace);
    const lost = newApplier().applyStatus(resource, object, statusOf(1));
    await expect(lost).rejects.toMatchObject({ code: expect.stringMatching(/^(NotFound|Conflict)$/) });
    await budget('status-gone');
    const wrong = newApplier().applyStatus(resource, object, statusOf(1));
    await expect(wrong).rejects.toMatchObject({ code: 'Conflict' });
  });
});
