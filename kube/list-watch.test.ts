import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { until } from '../process/testing/waiting.ts';
import { KubeError } from './errors.ts';
import { Reflector } from './reflector.ts';
import { resources } from './resources.ts';
import { type ConfigMap, configMap, silent } from './testing/objects.ts';
import { type Cluster, type KubeObject, keyOf, type ListPage, type WatchEvent } from './types.ts';

interface Entry {
  version: number;
  type: 'ADDED' | 'MODIFIED' | 'DELETED';
  object: ConfigMap;
}

/** A history of objects, which can be listed and watched, forgets, and breaks off. */
class History {
  #version = 1;
  #uids = 0;
  #entries: Entry[] = [];
  /** Events up to this version are forgotten. */
  #compacted = 0;
  readonly objects = new Map<string, ConfigMap>();
  #listeners = new Set<(entry: Entry | KubeError | undefined) => void>();
  #nextFailures: KubeError[] = [];

  write(name: string): void {
    const before = this.objects.get(name);
    const object = configMap(name, ++this.#version, before?.metadata.uid ?? `uid-${++this.#uids}`);
    this.objects.set(name, object);
    this.#append({ version: this.#version, type: before ? 'MODIFIED' : 'ADDED', object });
  }

  remove(name: string): void {
    const before = this.objects.get(name);
    if (!before) return;
    this.objects.delete(name);
    const object = configMap(name, ++this.#version, before.metadata.uid);
    this.#append({ version: this.#version, type: 'DELETED', object });
  }

  compact(): void {
    this.#compacted = this.#version;
    this.#entries = [];
  }

  /** Ends every watch: in good order, or by an error. */
  end(error?: KubeError): void {
    for (const tell of this.#listeners) tell(error);
  }

  failNext(error: KubeError): void {
    this.#nextFailures.push(error);
  }

  #append(entry: Entry): void {
    this.#entries.push(entry);
    for (const tell of this.#listeners) tell(entry);
  }

  cluster(): Cluster {
    const list = async (page: { limit: number; continue?: string }): Promise<ListPage<ConfigMap>> => {
      this.#fail();
      const [at = '', from = ''] = page.continue?.split('|') ?? [String(this.#version)];
      // A page of an older state is refused instead of made up.
      if (at !== String(this.#version)) throw new KubeError('Expired', 'continue is too old');
      const all = [...this.objects.values()].sort((a, b) => keyOf(a).localeCompare(keyOf(b)));
      const rest = all.filter((one) => keyOf(one) > from);
      const items = page.limit === 0 ? rest : rest.slice(0, page.limit);
      const last = items.at(-1);
      const next = last && items.length < rest.length ? { continue: `${at}|${keyOf(last)}` } : {};
      return { items: structuredClone(items), resourceVersion: at, ...next };
    };
    const cluster: Pick<Cluster, 'list' | 'watch'> = {
      list: async <T extends KubeObject>(_: unknown, __: unknown, page: { limit: number; continue?: string }) =>
        (await list(page)) as unknown as ListPage<T>,
      watch: <T extends KubeObject>(
        _: unknown,
        __: unknown,
        options: { resourceVersion: string; signal: AbortSignal },
      ) => this.#watch(Number(options.resourceVersion), options.signal) as unknown as AsyncIterable<WatchEvent<T>>,
    };
    return cluster as Cluster;
  }

  #fail(): void {
    const failure = this.#nextFailures.shift();
    if (failure) throw failure;
  }

  async *#watch(from: number, signal: AbortSignal): AsyncGenerator<WatchEvent<ConfigMap>> {
    this.#fail();
    if (from < this.#compacted) throw new KubeError('Expired', 'too old resource version');
    const waiting: (Entry | KubeError | undefined)[] = this.#entries.filter(({ version }) => version > from);
    let wake: () => void = () => undefined;
    const tell = (entry: Entry | KubeError | undefined): void => {
      waiting.push(entry);
      wake();
    };
    this.#listeners.add(tell);
    signal.addEventListener('abort', () => tell(undefined));
    try {
      for (;;) {
        while (waiting.length === 0) {
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
        }
        const entry = waiting.shift();
        if (entry === undefined || signal.aborted) return;
        if (entry instanceof KubeError) throw entry;
        yield { type: entry.type, object: structuredClone(entry.object) };
      }
    } finally {
      this.#listeners.delete(tell);
    }
  }
}

const name = fc.constantFrom('a', 'b', 'c', 'd', 'e');
const code = fc.constantFrom<KubeError['code']>(
  'ConnectFailed',
  'ConnectionLost',
  'ServiceUnavailable',
  'Expired',
  'BadAnswer',
);
const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant('write' as const), name }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('remove' as const), name }) },
  fc.constantFrom({ do: 'compact' as const }, { do: 'end' as const }),
  fc.record({ do: fc.constantFrom('break' as const, 'failNext' as const), code }),
  { weight: 2, arbitrary: fc.record({ do: fc.constant('wait' as const), turns: fc.nat(5) }) },
);

describe('whatever happens to an API server and the way to it', () => {
  it('a reflector ends up with what is there, and its changes lead there', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), fc.constantFrom(1, 2, 500), async (steps, pageSize) => {
        const history = new History();
        const reflector = new Reflector<ConfigMap>({
          cluster: history.cluster(),
          resource: resources.configMaps,
          log: silent,
          pageSize,
          timing: { backOffMs: 1, unreachableMs: 2, refusedMs: 2 },
        });
        const followed = new Map<string, ConfigMap>();
        const wrong: string[] = [];
        reflector.onChange(({ key, before, after }) => {
          if (followed.get(key) !== before) wrong.push(`${key}: a change from what was not there`);
          if (before && after && before.metadata.uid !== after.metadata.uid) wrong.push(`${key}: became another`);
          if (after) followed.set(key, after);
          else followed.delete(key);
        });
        reflector.start();
        for (const one of steps) {
          if (one.do === 'write') history.write(one.name);
          else if (one.do === 'remove') history.remove(one.name);
          else if (one.do === 'compact') history.compact();
          else if (one.do === 'end') history.end();
          else if (one.do === 'break') history.end(new KubeError(one.code, 'broken'));
          else if (one.do === 'failNext') history.failNext(new KubeError(one.code, 'refused'));
          else if (one.do === 'wait')
            for (let n = 0; n < one.turns; n++) await new Promise((resolve) => setImmediate(resolve));
        }
        const versions = (objects: Iterable<ConfigMap>): string =>
          [...objects]
            .map((object) => `${keyOf(object)}@${object.metadata.resourceVersion}`)
            .sort((a, b) => a.localeCompare(b))
            .join();
        const wanted = versions(history.objects.values());
        await until(wanted, () => reflector.hasSynced && versions(reflector.store.list()) === wanted);
        expect(versions(followed.values())).toBe(wanted);
        expect(wrong).toEqual([]);
        await reflector.stop();
      }),
      { numRuns: 60 },
    );
  });
});
