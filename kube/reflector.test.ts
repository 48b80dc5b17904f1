import { Registry } from 'prom-client';
import { afterEach, describe, expect, it } from 'vitest';
import { until } from '../process/testing/waiting.ts';
import { KubeClient } from './client.ts';
import type { ListWatchTiming } from './list-watch.ts';
import { Reflector, type ReflectorOptions } from './reflector.ts';
import { resources } from './resources.ts';
import { type ConfigMap, configMap, silent } from './testing/objects.ts';
import { type Asked, type Reply, type ScriptedServer, scriptedServer } from './testing/scripted-server.ts';

const timing: Partial<ListWatchTiming> = { backOffMs: 1, unreachableMs: 20, refusedMs: 20 };
const expired = {
  kind: 'Status',
  status: 'Failure',
  reason: 'Expired',
  code: 410,
  message: 'too old resource version',
};

let closing: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closing.toReversed()) await close();
  closing = [];
});

interface World {
  server: ScriptedServer;
  reflector: Reflector<ConfigMap>;
  lists: () => Asked[];
  watches: () => Asked[];
  names: () => string[];
}

type Answerer = (asked: Asked, reply: Reply, n: number) => void | Promise<void>;

/** A reflector over a server whose list and n-th watch (from 0) the script answers. */
async function world(
  list: Answerer,
  watch: Answerer,
  options: Partial<ReflectorOptions<ConfigMap>> = {},
): Promise<World> {
  const counts = { list: 0, watch: 0 };
  const server = await scriptedServer((asked, reply) =>
    asked.query.has('watch') ? watch(asked, reply, counts.watch++) : list(asked, reply, counts.list++),
  );
  const cluster = new KubeClient(server.credentials);
  const reflector = new Reflector<ConfigMap>({
    cluster,
    resource: resources.configMaps,
    log: silent,
    timing,
    ...options,
  });
  closing.push(
    () => server.close(),
    () => cluster.close(),
    () => reflector.stop(),
  );
  return {
    server,
    reflector,
    lists: () => server.asked.filter(({ query }) => !query.has('watch')),
    watches: () => server.asked.filter(({ query }) => query.has('watch')),
    names: () => [...reflector.store.list()].map(({ metadata }) => metadata.name).sort(),
  };
}

function listOf(reply: Reply, resourceVersion: number, ...items: ConfigMap[]): void {
  reply.json(200, { kind: 'ConfigMapList', metadata: { resourceVersion: String(resourceVersion) }, items });
}

const quiet = (_: Asked, reply: Reply): void => reply.stream();

describe('a reflector', () => {
  it('lists the newest state in pages and watches from there', async () => {
    const { reflector, lists, watches, names, server } = await world((asked, reply) => {
      const next = asked.query.get('continue') ? undefined : 'more';
      const item = configMap(next ? 'a' : 'b', 5);
      reply.json(200, { metadata: { resourceVersion: '9', ...(next && { continue: next }) }, items: [item] });
    }, quiet);
    reflector.start();
    expect(await reflector.synced()).toBe(true);
    expect(names()).toEqual(['a', 'b']);
    expect(lists().map(({ query }) => Array.from(query.keys()))).toEqual([['limit'], ['limit', 'continue']]);
    await until('a watch', () => watches().length === 1);
    const query = server.asked.at(-1)?.query;
    expect(query?.get('resourceVersion')).toBe('9');
    expect(query?.get('allowWatchBookmarks')).toBe('true');
    expect(Number(query?.get('timeoutSeconds'))).toBeGreaterThanOrEqual(300);
    expect(Number(query?.get('timeoutSeconds'))).toBeLessThanOrEqual(600);
    expect(reflector.reached()).toBe('9');
  });

  it('reads everything at once when a page came too late', async () => {
    const { reflector, lists, names } = await world((asked, reply) => {
      if (asked.query.has('continue')) reply.json(410, expired);
      else if (asked.query.has('limit'))
        reply.json(200, { metadata: { resourceVersion: '1', continue: 'x' }, items: [configMap('old', 1)] });
      else listOf(reply, 9, configMap('a', 2), configMap('b', 3));
    }, quiet);
    reflector.start();
    await reflector.synced();
    expect(names()).toEqual(['a', 'b']);
    expect(lists()).toHaveLength(3);
  });

  it('keeps neither managedFields nor what the transform drops', async () => {
    const stored = { ...configMap('a', 1), data: { secret: 'x' } };
    Object.assign(stored.metadata, { managedFields: [{ manager: 'kubectl' }] });
    const { reflector } = await world((_, reply) => listOf(reply, 1, stored), quiet, {
      transform: (object) => {
        delete object.data;
        return object;
      },
    });
    reflector.start();
    await reflector.synced();
    expect(reflector.store.get('default/a')).toEqual(configMap('a', 1));
  });

  it('resumes from the last bookmark after the server ends the watch', async () => {
    const { reflector, lists, watches } = await world(
      (_, reply) => listOf(reply, 5),
      (_, reply, n) => {
        reply.stream();
        if (n > 0) return;
        reply.event('ADDED', configMap('a', 7));
        reply.event('BOOKMARK', { kind: 'ConfigMap', apiVersion: 'v1', metadata: { resourceVersion: '40' } });
        reply.end();
      },
    );
    reflector.start();
    await until('two watches', () => watches().length === 2);
    expect(watches().map(({ query }) => query.get('resourceVersion'))).toEqual(['5', '40']);
    expect(lists()).toHaveLength(1);
    expect(reflector.store.get('default/a')).toBeDefined();
  });

  it('resumes after the connection breaks in the middle of a line, without listing again', async () => {
    const { reflector, lists, watches, names } = await world(
      (_, reply) => listOf(reply, 5),
      (_, reply, n) => {
        reply.stream();
        if (n === 0) {
          reply.event('ADDED', configMap('a', 7));
          reply.write('{"type":"ADDED","object":{"metadata":{"na');
          setTimeout(() => reply.reset(), 20);
        } else if (n === 1) {
          reply.event('ADDED', configMap('b', 8));
        }
      },
    );
    reflector.start();
    await until('b', () => names().includes('b'));
    expect(names()).toEqual(['a', 'b']);
    expect(watches()[1]?.query.get('resourceVersion')).toBe('7');
    expect(lists()).toHaveLength(1);
  });

  it('puts together an event whose bytes come one at a time', async () => {
    const { reflector } = await world(
      (_, reply) => listOf(reply, 5),
      async (_, reply) => {
        reply.stream();
        const line = `${JSON.stringify({ type: 'ADDED', object: { ...configMap('ä€𝄞', 7), data: { k: 'v' } } })}\n`;
        for (const byte of Buffer.from(line)) {
          reply.write(Buffer.from([byte]));
          await new Promise((resolve) => setImmediate(resolve));
        }
      },
    );
    reflector.start();
    await until('the object', () => reflector.store.size === 1);
    expect(reflector.store.get('default/ä€𝄞')?.data).toEqual({ k: 'v' });
  });

  it.each([
    ['as the answer to a watch', (reply: Reply) => reply.json(410, expired)],
    [
      'as an event',
      (reply: Reply) => {
        reply.stream();
        reply.event('ERROR', expired);
      },
    ],
  ])('lists again when the history is gone: 410 %s', async (_, gone) => {
    const { reflector, lists, watches, names } = await world(
      (_asked, reply, n) =>
        n === 0
          ? listOf(reply, 5, configMap('a', 1), configMap('b', 2))
          : listOf(reply, 50, configMap('b', 2), configMap('c', 40)),
      (_asked, reply, n) => (n === 0 ? gone(reply) : reply.stream()),
    );
    const seen: string[] = [];
    reflector.onChange(({ key, before, after }) => seen.push(`${before ? '-' : ''}${after ? '+' : ''}${key}`));
    reflector.start();
    await until('c', () => names().includes('c'));
    expect(names()).toEqual(['b', 'c']);
    expect(seen).toEqual(['+default/a', '+default/b', '+default/c', '-default/a']);
    await until('the second watch', () => watches().length === 2);
    expect(watches()[1]?.query.get('resourceVersion')).toBe('50');
    expect(lists()).toHaveLength(2);
  });

  it('sees that an object was deleted and made again although it missed both events', async () => {
    const { reflector } = await world(
      (_asked, reply, n) =>
        listOf(reply, n === 0 ? 5 : 50, configMap('a', n === 0 ? 1 : 40, n === 0 ? 'first' : 'second')),
      (_asked, reply, n) => (n === 0 ? reply.json(410, expired) : reply.stream()),
    );
    const seen: [string | undefined, string | undefined][] = [];
    reflector.onChange(({ before, after }) => seen.push([before?.metadata.uid, after?.metadata.uid]));
    reflector.start();
    await until('three changes', () => seen.length === 3);
    expect(seen).toEqual([
      [undefined, 'first'],
      ['first', undefined],
      [undefined, 'second'],
    ]);
  });

  it('does not die of a handler that throws', async () => {
    const { reflector, names } = await world(
      (_, reply) => listOf(reply, 5, configMap('a', 1)),
      (_, reply) => {
        reply.stream();
        reply.event('ADDED', configMap('b', 6));
        reply.event('ADDED', configMap('c', 7));
      },
    );
    const seen: string[] = [];
    reflector.onChange(() => {
      throw new Error('careless');
    });
    reflector.onChange(({ key }) => seen.push(key));
    reflector.start();
    await until('c', () => names().includes('c'));
    expect(seen).toEqual(['default/a', 'default/b', 'default/c']);
  });

  it('keeps what it has while the server fails, and goes on when it answers again', async () => {
    let down = false;
    const { reflector, names, watches } = await world(
      (_, reply) => listOf(reply, 5, configMap('a', 1)),
      (_, reply) => {
        if (down) return reply.json(503, { message: 'etcd is gone' });
        reply.stream();
        reply.event('ADDED', configMap('b', 6));
        if (watches().length === 1) {
          down = true;
          setTimeout(() => reply.reset(), 20);
        }
      },
    );
    reflector.start();
    await until('some tries', () => watches().length > 5);
    expect(names()).toEqual(['a', 'b']);
    expect(reflector.hasSynced).toBe(true);
    down = false;
    const tries = watches().length;
    await until('a new watch', () => watches().length > tries);
    expect(names()).toEqual(['a', 'b']);
  });

  it('is current again as soon as the server is, also when that begins with refusals', async () => {
    let tries = 0;
    const { reflector, names } = await world(
      (_, reply, n) => listOf(reply, 5 + n, configMap(`n${n}`, 5 + n)),
      (_, reply) => {
        tries++;
        if (tries < 12) reply.json(503, { kind: 'Status' });
        else if (tries === 12) reply.json(403, { kind: 'Status' });
        else if (tries === 13) reply.json(410, expired);
        else reply.stream();
      },
      { timing: { backOffMs: 10, unreachableMs: 10, refusedMs: 3_600_000 } },
    );
    reflector.start();
    await until('the second list', () => names().includes('n1'));
    expect(names()).toEqual(['n1']);
  });

  it('waits as long as the server asks when it is throttled', async () => {
    const times: number[] = [];
    const { reflector } = await world((_, reply, n) => {
      times.push(performance.now());
      if (n === 0) reply.json(503, { kind: 'Status', reason: 'ServiceUnavailable', code: 503 }, { 'retry-after': '1' });
      else listOf(reply, 5);
    }, quiet);
    reflector.start();
    await reflector.synced();
    expect((times[1] ?? 0) - (times[0] ?? 0)).toBeGreaterThanOrEqual(990);
  });

  it('opens no watch when it is stopped during its first list', async () => {
    const { reflector, server, lists } = await world((_, reply, n) => {
      if (n === 0) setTimeout(() => listOf(reply, 5, configMap('a', 1)), 100);
    }, quiet);
    reflector.start();
    await until('the list', () => lists().length === 1);
    await reflector.stop();
    expect(await reflector.synced()).toBe(false);
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(server.asked).toHaveLength(1);
    expect(reflector.store.size).toBe(0);
  });

  it('leaves a connection that died without a word, and resumes on another', async () => {
    const { server, reflector, watches, lists, names } = await world(
      (_, reply) => listOf(reply, 5),
      (_, reply, n) => {
        reply.stream();
        reply.event('ADDED', configMap(`n${n}`, 6 + n));
      },
      { timing: { ...timing, silenceMs: 200 } },
    );
    reflector.start();
    await until('the first event', () => names().includes('n0'));
    server.freeze();
    await until('a watch on another connection', () => names().includes('n1'));
    expect(watches()[1]?.query.get('resourceVersion')).toBe('6');
    expect(watches()[1]?.connection).not.toBe(watches()[0]?.connection);
    expect(lists()).toHaveLength(1);
  });

  it('goes to another connection when the server closes one in good order', async () => {
    const { reflector, watches, lists, names } = await world(
      (_, reply) => listOf(reply, 5),
      (_, reply, n) => {
        reply.stream();
        reply.event('ADDED', configMap(`n${n}`, 6 + n));
        if (n === 0) setTimeout(() => reply.end(), 20);
      },
    );
    reflector.start();
    await until('the second watch', () => names().includes('n1'));
    expect(watches()[1]?.query.get('resourceVersion')).toBe('6');
    expect(lists()).toHaveLength(1);
  });

  it('has a connection for each watch, however many there are', async () => {
    const { server, watches } = await world((_, reply) => listOf(reply, 5), quiet);
    const cluster = new KubeClient(server.credentials, { connections: 2 });
    const many = Array.from(
      { length: 20 },
      () => new Reflector({ cluster, resource: resources.configMaps, log: silent }),
    );
    closing.push(
      () => cluster.close(),
      () => Promise.all(many.map((one) => one.stop())),
    );
    for (const one of many) one.start();
    await until('twenty watches', () => watches().length === 20);
    expect(new Set(watches().map(({ connection }) => connection)).size).toBe(20);
  });

  it('watches each namespace that it is told, and lists one again without touching the others', async () => {
    const inNamespace = (namespace: string, name: string, version: number): ConfigMap => {
      const object = configMap(name, version, `${namespace}-${name}`);
      return { ...object, metadata: { ...object.metadata, namespace } };
    };
    const lists: string[] = [];
    const { reflector } = await world(
      (asked, reply) => {
        const namespace = asked.path.split('/')[4] ?? '';
        lists.push(namespace);
        listOf(reply, 5, inNamespace(namespace, `n${lists.length}`, lists.length));
      },
      (asked, reply) => {
        if (asked.path.includes('/blue/') && lists.length === 2) reply.json(410, expired);
        else reply.stream();
      },
      { namespaces: ['red', 'blue'] },
    );
    reflector.start();
    await until('a second list of blue', () => reflector.store.get('blue/n3'));
    expect(new Set([...reflector.store.list()].map(({ metadata }) => metadata.namespace))).toEqual(
      new Set(['red', 'blue']),
    );
    expect(reflector.store.size).toBe(2);
  });

  it('tells how long ago it last heard the server, and how much it holds', async () => {
    const registry = new Registry();
    const { reflector } = await world((_, reply) => listOf(reply, 5, configMap('a', 1)), quiet, { registry });
    reflector.start();
    await reflector.synced();
    const text = await registry.metrics();
    expect(text).toMatch(/watch_last_event_age_seconds\{resource="configmaps"\} 0/);
    expect(text).toContain('reflector_objects{resource="configmaps"} 1');
    expect(text).toContain('reflector_lists_total{resource="configmaps"} 1');
  });
});
