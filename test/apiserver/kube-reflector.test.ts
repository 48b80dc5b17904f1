import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { Applier } from '../../kube/applier.ts';
import { Controller } from '../../kube/controller.ts';
import type { ListWatchTiming } from '../../kube/list-watch.ts';
import { Reflector, type ReflectorOptions } from '../../kube/reflector.ts';
import { resources } from '../../kube/resources.ts';
import { type ConfigMap, silent } from '../../kube/testing/objects.ts';
import { type KubeObject, keyOf, splitKey } from '../../kube/types.ts';
import { until } from '../../process/testing/waiting.ts';
import { makeNamespace, useOwnApiServer } from '../support/api-server.ts';

const own = useOwnApiServer();
const fieldManager = 'test';
const timing: Partial<ListWatchTiming> = { backOffMs: 20, unreachableMs: 300 };
const waitMs = 60_000;

let running: { stop(): Promise<unknown> }[] = [];
afterEach(async () => {
  await Promise.all(running.map((one) => one.stop()));
  running = [];
});

let made = 0;
/** A namespace of the test's own and a reflector of its ConfigMaps, through the relay. */
async function following(options: Partial<ReflectorOptions<ConfigMap>> = {}): Promise<{
  namespace: string;
  reflector: Reflector<ConfigMap>;
  write: (name: string, value: string) => Promise<ConfigMap>;
  remove: (name: string) => Promise<void>;
  /** What the reflector shows, as `name=value`. */
  shows: () => string;
  lists: () => number;
}> {
  const namespace = `reflector-${made++}`;
  await makeNamespace(own.direct, namespace);
  let lists = 0;
  const cluster = new Proxy(own.kube, {
    get(target, property) {
      if (property === 'list') lists++;
      const value = Reflect.get(target, property) as unknown;
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
  const reflector = new Reflector<ConfigMap>({
    cluster,
    resource: resources.configMaps,
    namespaces: [namespace],
    fieldSelector: 'metadata.name!=kube-root-ca.crt',
    log: silent,
    timing,
    ...options,
  });
  running.push(reflector);
  return {
    namespace,
    reflector,
    lists: () => lists,
    write: (name, value) =>
      own.direct.apply<ConfigMap>(
        resources.configMaps,
        { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, namespace }, data: { value } },
        { fieldManager },
      ),
    remove: (name) => own.direct.delete(resources.configMaps, name, namespace),
    shows: () =>
      [...reflector.store.list()]
        .map(({ metadata, data }) => `${metadata.name}=${data?.['value']}`)
        .sort((a, b) => a.localeCompare(b))
        .join(' '),
  };
}

describe('a reflector of a real kube-apiserver', () => {
  it('sees what is there, what changes and what goes', async () => {
    const { reflector, write, remove, shows } = await following();
    await write('a', '1');
    reflector.start();
    await reflector.synced();
    expect(shows()).toBe('a=1');
    await write('b', '1');
    await write('a', '2');
    await until('both changes', () => shows() === 'a=2 b=1', waitMs);
    await remove('b');
    await until('the deletion', () => shows() === 'a=2', waitMs);
    expect(reflector.store.get([...reflector.store.list()].map(keyOf)[0] ?? '')?.metadata).not.toHaveProperty(
      'managedFields',
    );
  });

  it('resumes where it was after its connection was cut, and does not list again', async () => {
    const { reflector, write, shows, lists } = await following();
    await write('a', '1');
    reflector.start();
    await reflector.synced();
    for (let n = 0; n < 5; n++) {
      own.relay.cut();
      await write('a', `cut-${n}`);
      await until('the change', () => shows() === `a=cut-${n}`, waitMs);
    }
    expect(lists()).toBe(1);
  });

  it('leaves a connection that went dead without a word', async () => {
    const { reflector, write, shows, lists } = await following({ timing: { ...timing, silenceMs: 1000 } });
    await write('a', '1');
    reflector.start();
    await until('the watch', () => shows() === 'a=1', waitMs);
    await write('a', '2');
    await until('an event', () => shows() === 'a=2', waitMs);
    own.relay.freeze();
    await write('a', '3');
    await until('the change, by another connection', () => shows() === 'a=3', waitMs);
    expect(lists()).toBe(1);
    // What is frozen stays so for calls as well: the next ones would wait for their time limit.
    own.relay.cut();
  });

  it('keeps its copy while kube-apiserver is down, and follows it when it is back', async () => {
    const { reflector, write, remove, shows } = await following();
    await write('a', '1');
    await write('b', '1');
    reflector.start();
    await reflector.synced();
    for (let n = 0; n < 2; n++) {
      await own.plane.stopApiServer('SIGKILL');
      expect(shows()).toBe('a=1 b=1');
      expect(reflector.hasSynced).toBe(true);
      await own.plane.startApiServer();
      await write('c', `${n}`);
      await until('what came after the restart', () => shows() === `a=1 b=1 c=${n}`, waitMs);
      await remove('c');
      await until('its deletion', () => shows() === 'a=1 b=1', waitMs);
    }
  });

  it('lists again when etcd has forgotten where it was', async () => {
    const { reflector, namespace, write, remove, shows, lists } = await following();
    for (const name of ['a', 'b', 'c']) await write(name, '1');
    reflector.start();
    await reflector.synced();
    const seen: string[] = [];
    const before = reflector.store.get(`${namespace}/b`)?.metadata.uid;
    reflector.onChange((change) => {
      const { name } = splitKey(change.key);
      if (!change.after) seen.push(`${name} gone`);
      else if (!change.before && change.after.metadata.uid !== before) seen.push(`${name} new`);
    });
    seen.length = 0;

    // All of it happens where the reflector can't see it, and is then compacted away.
    await own.relay.close();
    await remove('a');
    await remove('b');
    await write('b', 'another');
    await write('d', '1');
    await own.plane.compact();
    await own.plane.restartApiServer('SIGKILL');
    await own.relay.open();

    await until('the new list', () => shows() === 'b=another c=1 d=1', waitMs);
    expect(lists()).toBeGreaterThan(1);
    expect(seen.sort((one, other) => one.localeCompare(other))).toEqual(['a gone', 'b gone', 'b new', 'd new']);
  });

  it('reads a list whole although etcd was compacted between two of its pages', async () => {
    const { reflector, namespace, write, shows } = await following({ pageSize: 2 });
    for (const name of ['a', 'b', 'c', 'd', 'e']) await write(name, '1');
    let pages = 0;
    const list = own.kube.list.bind(own.kube);
    const between = new Proxy(own.kube, {
      get(target, property) {
        if (property !== 'list') {
          const value = Reflect.get(target, property) as unknown;
          return typeof value === 'function' ? value.bind(target) : value;
        }
        return async (...call: Parameters<typeof list>) => {
          const page = await list(...call);
          if (pages++ > 0) return page;
          await write('a', '2');
          await write('f', '1');
          await own.plane.compact();
          await own.plane.restartApiServer('SIGKILL');
          return page;
        };
      },
    });
    const other = new Reflector<ConfigMap>({
      cluster: between,
      resource: resources.configMaps,
      namespaces: [namespace],
      fieldSelector: 'metadata.name!=kube-root-ca.crt',
      pageSize: 2,
      log: silent,
      timing,
    });
    running.push(other);
    other.start();
    await other.synced();
    reflector.start();
    await reflector.synced();
    await until('the same in both', () => shows() === 'a=2 b=1 c=1 d=1 e=1 f=1', waitMs);
    await until('a whole list', () => other.store.size === 6, waitMs);
    expect(other.store.get(`${namespace}/a`)?.data).toEqual({ value: '2' });
  });
});

describe('a controller of a real kube-apiserver', () => {
  const namespace = 'controller';
  const intentAnnotation = 'cadre.dev/intent';
  beforeAll(() => makeNamespace(own.direct, namespace));

  interface Copy extends KubeObject {
    data?: Record<string, string>;
  }

  /** Copies each ConfigMap that is labelled into a Secret, as a controller would: from caches, by the applier. */
  async function copying(): Promise<{ controller: Controller; stop: () => Promise<void> }> {
    const selected = { cluster: own.kube, namespaces: [namespace], log: silent, timing };
    const sources = new Reflector<ConfigMap>({
      ...selected,
      resource: resources.configMaps,
      labelSelector: 'copy=yes',
    });
    const copies = new Reflector<Copy>({ ...selected, resource: resources.secrets, labelSelector: 'copy=yes' });
    const reached = ({ plural }: { plural: string }, within: string | undefined): string | undefined =>
      (plural === 'secrets' ? copies : sources).reached(within);
    const applier = new Applier({ cluster: own.kube, fieldManager, intentAnnotation, reached });
    const controller = new Controller({
      name: 'copy',
      concurrency: 4,
      log: silent,
      maxDelayMs: 500,
      keys: () => [...sources.store.list()].map(keyOf),
      async reconcile(key) {
        const source = sources.store.get(key);
        const copy = copies.store.get(key);
        if (!source) {
          if (copy) await applier.prune(resources.secrets, [copy]);
          return 'never';
        }
        const { name, uid = '' } = source.metadata;
        const { apiVersion, kind } = source;
        const metadata = {
          name,
          namespace,
          labels: { copy: 'yes' },
          ownerReferences: [{ apiVersion, kind, name, uid, controller: true }],
        };
        const data = { value: Buffer.from(source.data?.['value'] ?? '').toString('base64') };
        const desired: Copy = { apiVersion: 'v1', kind: 'Secret', metadata, data };
        await applier.apply(resources.secrets, desired, copy);
        return 'never';
      },
    });
    for (const one of [sources, copies]) one.onChange(({ key }) => controller.enqueue(key));
    sources.start();
    copies.start();
    await Promise.all([sources.synced(), copies.synced()]);
    controller.start();
    const stop = async (): Promise<void> => {
      await Promise.all([sources.stop(), copies.stop()]);
      await controller.stop(10_000);
    };
    running.push({ stop });
    return { controller, stop };
  }

  const write = (name: string, value: string): Promise<ConfigMap> =>
    own.direct.apply<ConfigMap>(
      resources.configMaps,
      {
        apiVersion: 'v1',
        kind: 'ConfigMap',
        metadata: { name, namespace, labels: { copy: 'yes' } },
        data: { value },
      },
      { fieldManager },
    );

  const copies = async (): Promise<Copy[]> =>
    (await own.direct.list<Copy>(resources.secrets, { namespace, labelSelector: 'copy=yes' }, { limit: 0 })).items;

  const valueOf = ({ data }: Copy): string => Buffer.from(data?.['value'] ?? '', 'base64').toString();

  /** The copies that are there, once they are as wanted. */
  async function settled(wanted: Record<string, string>): Promise<Copy[]> {
    for (const end = performance.now() + waitMs; ; await new Promise((resolve) => setTimeout(resolve, 50))) {
      const found = await copies();
      const state = Object.fromEntries(found.map((one) => [one.metadata.name, valueOf(one)]));
      try {
        expect(state).toEqual(wanted);
        return found;
      } catch (error) {
        if (performance.now() > end) throw error;
      }
    }
  }

  it('comes to the wanted state however often kube-apiserver dies, and then rests', async () => {
    await copying();
    const wanted: Record<string, string> = {};
    for (let round = 0; round < 2; round++) {
      for (let n = 0; n < 20; n++) {
        await write(`m${n}`, `round-${round}`);
        wanted[`m${n}`] = `round-${round}`;
      }
      await own.direct.delete(resources.configMaps, `m${round}`, namespace);
      delete wanted[`m${round}`];
      await own.plane.restartApiServer('SIGKILL');
    }
    for (const name of Object.keys(wanted)) wanted[name] = 'last';
    await Promise.all(Object.keys(wanted).map((name) => write(name, 'last')));
    const before = await settled(wanted);
    // Another process takes over: it looks at everything, and finds nothing to write.
    const next = await copying();
    await until('all keys looked at', () => next.controller.queue.depth === 0, waitMs);
    await next.stop();
    const versions = (all: Copy[]): (string | undefined)[] => all.map(({ metadata }) => metadata.resourceVersion);
    expect(versions(await copies())).toEqual(versions(before));
  });
});
