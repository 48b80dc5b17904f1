import { Counter, Gauge, type Registry } from 'prom-client';
import type { Logger } from '../process/logger.ts';
import { isKubeError } from './errors.ts';
import { defaultTiming, type ListWatchTiming, listWatch } from './list-watch.ts';
import { ObjectStore } from './store.ts';
import type { Change, Cluster, Indexer, KubeObject, Resource, Selection } from './types.ts';

export interface ReflectorOptions<T extends KubeObject> {
  cluster: Cluster;
  resource: Resource;
  /** Which objects; all when absent. */
  labelSelector?: string;
  fieldSelector?: string;
  /** Only these namespaces, each with a watch of its own; empty or absent: all. */
  namespaces?: readonly string[];
  indexers?: Record<string, Indexer<T>>;
  /** Drops what nobody reads, so that it does not stay in memory. `managedFields` never stays. May change its argument. */
  transform?: (object: T) => T;
  log: Logger;
  registry?: Registry;
  /** Objects a page of a list. Default: 500. */
  pageSize?: number;
  timing?: Partial<ListWatchTiming>;
}

/**
 * A copy of all objects of a kind, kept current by list and watch. It never gives up: while the API server is away the copy
 * stays as it was. Handlers get each change after it is in the store; one that throws is logged and does no harm.
 */
export class Reflector<T extends KubeObject> {
  readonly resource: Resource;
  readonly store: ObjectStore<T>;
  readonly #options: ReflectorOptions<T>;
  readonly #log: Logger;
  readonly #handlers: ((change: Change<T>) => void)[] = [];
  readonly #scopes: Scope[];
  readonly #metrics: ReflectorMetrics | undefined;
  readonly #stop = new AbortController();
  #loops: Promise<unknown> | undefined;
  #whenSynced: (() => void)[] = [];

  constructor(options: ReflectorOptions<T>) {
    this.#options = options;
    this.resource = options.resource;
    this.store = new ObjectStore(options.indexers);
    this.#log = options.log.child({ resource: options.resource.plural });
    const namespaces = options.namespaces?.length ? options.namespaces : [undefined];
    this.#scopes = namespaces.map((namespace) => ({
      namespace,
      synced: false,
      reached: undefined,
      heardAt: undefined,
    }));
    this.#metrics = options.registry && reflectorMetrics(options.registry);
    this.#metrics?.track(this);
  }

  /** Calls `handler` for each change from now on, and at once for each object that is there already. */
  onChange(handler: (change: Change<T>) => void): void {
    this.#handlers.push(handler);
    for (const after of this.store.list()) {
      const { namespace, name } = after.metadata;
      this.#tell([handler], { key: namespace === undefined ? name : `${namespace}/${name}`, after });
    }
  }

  start(): void {
    if (this.#stop.signal.aborted || this.#loops) return;
    for (const scope of this.#scopes) scope.heardAt = performance.now();
    this.#loops = Promise.all(this.#scopes.map((scope) => this.#follow(scope)));
  }

  /** Ends list and watch; nothing is opened and no handler is called after it. */
  async stop(): Promise<void> {
    this.#stop.abort();
    this.#metrics?.untrack(this);
    for (const resolve of this.#whenSynced.splice(0)) resolve();
    await this.#loops;
  }

  /** Whether the store holds a whole list. Once true, always true. */
  get hasSynced(): boolean {
    return this.#scopes.every(({ synced }) => synced);
  }

  /** Resolves when the store holds a whole list; false when it was stopped before. */
  async synced(): Promise<boolean> {
    if (!this.hasSynced && !this.#stop.signal.aborted) {
      await new Promise<void>((resolve) => this.#whenSynced.push(resolve));
    }
    return this.hasSynced;
  }

  /** Milliseconds since the API server was last heard, by the watch that has heard nothing for longest; bookmarks count. */
  lastEventAgeMs(): number {
    const now = performance.now();
    return Math.max(...this.#scopes.map(({ heardAt }) => (heardAt === undefined ? 0 : now - heardAt)));
  }

  /** The resourceVersion up to which the store knows the objects of a namespace; undefined before the first list. */
  reached(namespace?: string): string | undefined {
    const scope = this.#scopes.find((one) => one.namespace === undefined || one.namespace === namespace);
    return scope?.reached;
  }

  async #follow(scope: Scope): Promise<void> {
    const { cluster, resource, labelSelector, fieldSelector, pageSize = 500, timing, transform } = this.#options;
    const { namespace } = scope;
    const selection: Selection = {
      ...(namespace !== undefined && { namespace }),
      ...(labelSelector !== undefined && { labelSelector }),
      ...(fieldSelector !== undefined && { fieldSelector }),
    };
    const keep = (object: T): T => {
      delete (object.metadata as { managedFields?: unknown }).managedFields;
      return transform ? transform(object) : object;
    };
    const options = { cluster, resource, selection, pageSize, log: this.#log, keep };
    const signal = this.#stop.signal;
    await listWatch<T>(
      { ...options, timing: { ...defaultTiming, ...timing } },
      {
        replace: (items, resourceVersion) => {
          this.#metrics?.lists.inc({ resource: resource.plural });
          scope.reached = resourceVersion;
          this.#tellAll(this.store.replace(items, namespace));
          scope.synced = true;
          if (this.hasSynced) for (const resolve of this.#whenSynced.splice(0)) resolve();
        },
        set: (object) => {
          scope.reached = object.metadata.resourceVersion;
          this.#tellAll(this.store.set(object));
        },
        delete: (last) => {
          scope.reached = last.metadata.resourceVersion;
          this.#tellAll(this.store.delete(last));
        },
        bookmark: (resourceVersion) => {
          scope.reached = resourceVersion;
        },
        heard: () => {
          scope.heardAt = performance.now();
        },
        failed: (what, error) => {
          const code = isKubeError(error) ? error.code : 'Unknown';
          this.#metrics?.failures.inc({ resource: resource.plural, operation: what, code });
        },
      },
      signal,
    );
  }

  #tellAll(changes: Change<T>[]): void {
    for (const change of changes) this.#tell(this.#handlers, change);
  }

  #tell(handlers: readonly ((change: Change<T>) => void)[], change: Change<T>): void {
    if (this.#stop.signal.aborted) return;
    for (const handler of handlers) {
      try {
        handler(change);
      } catch (err) {
        this.#log.error({ err, key: change.key }, 'a handler of changes threw');
      }
    }
  }
}

/** One namespace, or all of them. */
interface Scope {
  namespace: string | undefined;
  synced: boolean;
  reached: string | undefined;
  heardAt: number | undefined;
}

interface ReflectorMetrics {
  lists: Counter<'resource'>;
  failures: Counter<'resource' | 'operation' | 'code'>;
  track(reflector: Watched): void;
  untrack(reflector: Watched): void;
}

interface Watched {
  resource: Resource;
  store: { size: number };
  lastEventAgeMs(): number;
}

const made = new WeakMap<Registry, ReflectorMetrics>();

function reflectorMetrics(registry: Registry): ReflectorMetrics {
  const known = made.get(registry);
  if (known) return known;
  const watched = new Set<Watched>();
  const common = { labelNames: ['resource'] as const, registers: [registry] };
  void new Gauge({
    ...common,
    name: 'watch_last_event_age_seconds',
    help: 'Time since the API server was last heard by the watch; bookmarks count.',
    collect() {
      this.reset();
      for (const one of watched) this.set({ resource: one.resource.plural }, one.lastEventAgeMs() / 1000);
    },
  });
  void new Gauge({
    ...common,
    name: 'reflector_objects',
    help: 'Objects in the cache.',
    collect() {
      this.reset();
      for (const { resource, store } of watched) this.set({ resource: resource.plural }, store.size);
    },
  });
  const metrics: ReflectorMetrics = {
    lists: new Counter({ ...common, name: 'reflector_lists_total', help: 'Whole lists read.' }),
    failures: new Counter({
      name: 'reflector_failures_total',
      help: 'Lists and watches that failed or broke, by code of the error.',
      labelNames: ['resource', 'operation', 'code'],
      registers: [registry],
    }),
    track: (reflector) => watched.add(reflector),
    untrack: (reflector) => watched.delete(reflector),
  };
  made.set(registry, metrics);
  return metrics;
}
