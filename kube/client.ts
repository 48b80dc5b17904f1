import { setTimeout as sleep } from 'node:timers/promises';
import { Counter, type Registry } from 'prom-client';
import type { Credentials } from './credentials.ts';
import { isKubeError, KubeError } from './errors.ts';
import { parseWithoutManagedFields } from './managed-fields.ts';
import { type Answer, parseAnswer, type Request, Transport, type TransportOptions } from './transport.ts';
import type {
  ApplyOptions,
  CallOptions,
  Cluster,
  CreateOptions,
  DeleteOptions,
  KubeObject,
  ListPage,
  PageOptions,
  Resource,
  Selection,
  WatchEvent,
  WatchOptions,
} from './types.ts';
import { WatchStream } from './watch-stream.ts';

const callMs = 30_000;
const listMs = 60_000;
const throttledRetries = 3;
const longestThrottleMs = 5000;

export interface ClientOptions extends TransportOptions {
  /** Where `rest_client_requests_total` is counted. */
  registry?: Registry;
}

/**
 * The API server as one client. Bodies are raw JSON both ways: nothing is lost that our types do not know.
 *
 * What it repeats by itself, because it cannot do harm: a call that the server throttled before it began (429 with
 * Retry-After of at most 5 s, three times); one whose token was refused (once, after reading the token again); and, once, a
 * get, list, apply or delete whose connection broke, which have the same effect done twice. Everything else, and all back-off,
 * is its callers': a controller's queue repeats with the state as it then is.
 */
export class KubeClient implements Cluster {
  /** The namespace of the credentials. */
  readonly namespace: string;
  readonly server: string;
  readonly #transport: Transport;
  readonly #requests: Counter<'code' | 'method' | 'host' | 'resource'> | undefined;

  constructor(credentials: Credentials, options: ClientOptions = {}) {
    this.namespace = credentials.namespace;
    this.server = credentials.server;
    this.#transport = new Transport(credentials, options);
    this.#requests = options.registry && requestCounter(options.registry);
  }

  async get<T extends KubeObject>(
    resource: Resource,
    name: string,
    namespace?: string,
    options: CallOptions = {},
  ): Promise<T> {
    const request: Request = {
      method: 'GET',
      path: pathOf(resource, namespace, name),
      call: callOf('get', resource, namespace, name),
    };
    return this.#call(resource, request, options, true);
  }

  async list<T extends KubeObject>(resource: Resource, selection: Selection, page: PageOptions): Promise<ListPage<T>> {
    const query = queryOf(selection);
    if (page.limit > 0) query.set('limit', String(page.limit));
    if (page.continue !== undefined) query.set('continue', page.continue);
    if (page.resourceVersion !== undefined) query.set('resourceVersion', page.resourceVersion);
    const request: Request = {
      method: 'GET',
      path: withQuery(pathOf(resource, selection.namespace), query),
      call: callOf('list', resource, selection.namespace),
    };
    const list = await this.#call<WireList<T>>(resource, request, { timeoutMs: listMs, ...page }, true);
    const items = list.items ?? [];
    // Items of built-in kinds come without them.
    for (const item of items) {
      item.apiVersion ??= resource.apiVersion;
      item.kind ??= resource.kind;
    }
    const result: ListPage<T> = { items, resourceVersion: list.metadata.resourceVersion ?? '' };
    if (list.metadata.continue) result.continue = list.metadata.continue;
    return result;
  }

  watch<T extends KubeObject>(
    resource: Resource,
    selection: Selection,
    options: WatchOptions,
  ): AsyncIterable<WatchEvent<T>> {
    const query = queryOf(selection);
    query.set('watch', 'true');
    query.set('allowWatchBookmarks', 'true');
    query.set('resourceVersion', options.resourceVersion);
    query.set('timeoutSeconds', String(options.timeoutSeconds));
    const request: Request = {
      method: 'GET',
      path: withQuery(pathOf(resource, selection.namespace), query),
      call: callOf('watch', resource, selection.namespace),
    };
    return new WatchStream<T>(this.#transport, request, options.signal, (status) => {
      if (status === 401) this.#transport.refreshCredentials();
      this.#count(resource, request, status || '<error>');
    });
  }

  async create<T extends KubeObject>(resource: Resource, object: T, options: CreateOptions = {}): Promise<T> {
    const { name, namespace } = object.metadata;
    const manager =
      options.fieldManager === undefined ? '' : `&fieldManager=${encodeURIComponent(options.fieldManager)}`;
    const request: Request = {
      method: 'POST',
      path: `${pathOf(resource, namespace)}?fieldValidation=Strict${manager}`,
      contentType: 'application/json',
      body: JSON.stringify(object),
      call: callOf('create', resource, namespace, name),
    };
    return this.#call(resource, request, options, false);
  }

  async replace<T extends KubeObject>(resource: Resource, object: T, options: CallOptions = {}): Promise<T> {
    const { name, namespace } = object.metadata;
    const request: Request = {
      method: 'PUT',
      path: `${pathOf(resource, namespace, name)}?fieldValidation=Strict`,
      contentType: 'application/json',
      body: JSON.stringify(object),
      call: callOf('replace', resource, namespace, name),
    };
    return this.#call(resource, request, options, false);
  }

  async apply<T extends KubeObject>(resource: Resource, object: T, options: ApplyOptions): Promise<T> {
    return this.#apply(resource, object, options, '');
  }

  async applyStatus<T extends KubeObject>(
    resource: Resource,
    object: KubeObject & { status: unknown },
    options: ApplyOptions,
  ): Promise<T> {
    return this.#apply(resource, object, options, '/status');
  }

  async delete(
    resource: Resource,
    name: string,
    namespace: string | undefined,
    options: DeleteOptions = {},
  ): Promise<void> {
    const { uid, propagationPolicy = 'Background' } = options;
    const request: Request = {
      method: 'DELETE',
      path: pathOf(resource, namespace, name),
      contentType: 'application/json',
      body: JSON.stringify({ propagationPolicy, ...(uid === undefined ? {} : { preconditions: { uid } }) }),
      call: callOf('delete', resource, namespace, name),
    };
    try {
      await this.#call(resource, request, options, true);
    } catch (error) {
      if (isKubeError(error, 'NotFound') || (uid !== undefined && isKubeError(error, 'Conflict'))) return;
      throw error;
    }
  }

  /** Ends every connection; calls under way are rejected. */
  close(): Promise<void> {
    return this.#transport.close();
  }

  async #apply<T extends KubeObject>(
    resource: Resource,
    object: KubeObject,
    options: ApplyOptions,
    subresource: string,
  ): Promise<T> {
    const { name, namespace } = object.metadata;
    const manager = encodeURIComponent(options.fieldManager);
    const query = `fieldManager=${manager}&force=true&fieldValidation=Strict`;
    const request: Request = {
      method: 'PATCH',
      path: `${pathOf(resource, namespace, name)}${subresource}?${query}`,
      // JSON is YAML, and the only type that every supported server takes.
      contentType: 'application/apply-patch+yaml',
      body: JSON.stringify(object),
      call: callOf(subresource ? 'apply status of' : 'apply', resource, namespace, name),
    };
    return this.#call(resource, request, options, true, subresource);
  }

  async #call<T>(
    resource: Resource,
    request: Request,
    options: CallOptions,
    repeatable: boolean,
    subresource = '',
  ): Promise<T> {
    const { timeoutMs = callMs, signal } = options;
    // A Lease that waits behind a burst of writes runs out.
    if (resource.plural === 'leases') request.urgent = true;
    let refused = false;
    let broken = !repeatable;
    for (let throttled = 0; ; ) {
      let answer: Answer;
      try {
        answer = await this.#transport.send(request, timeoutMs, signal);
      } catch (error) {
        this.#count(resource, request, '<error>', subresource);
        if (broken || !isKubeError(error, 'ConnectionLost')) throw error;
        broken = true;
        continue;
      }
      this.#count(resource, request, answer.status, subresource);
      if (answer.status === 401 && !refused) {
        refused = true;
        this.#transport.refreshCredentials();
        continue;
      }
      if (answer.status === 429 && throttled < throttledRetries) {
        const waitMs = Number(answer.retryAfter ?? Number.NaN) * 1000;
        if (waitMs <= longestThrottleMs) {
          throttled++;
          await pause(waitMs * (1 + Math.random() / 4), request.call, signal);
          continue;
        }
      }
      const parse = request.method === 'PATCH' ? parseWithoutManagedFields : JSON.parse;
      return parseAnswer(request.call, answer, parse) as T;
    }
  }

  #count(resource: Resource, { method }: Request, code: number | string, subresource = ''): void {
    this.#requests?.inc({ code, method, host: this.#transport.host, resource: resource.plural + subresource });
  }
}

interface WireList<T> {
  metadata: { resourceVersion?: string; continue?: string };
  items?: T[];
}

/** As client-go names it; `resource` is ours. */
function requestCounter(registry: Registry): Counter<'code' | 'method' | 'host' | 'resource'> {
  return new Counter({
    name: 'rest_client_requests_total',
    help: 'Number of HTTP requests, partitioned by status code, method, host and resource.',
    labelNames: ['code', 'method', 'host', 'resource'],
    registers: [registry],
  });
}

/** Where a collection or an object is. Throws `Invalid` for a name that would lead elsewhere. */
function pathOf({ apiVersion, plural, namespaced }: Resource, namespace?: string, name?: string): string {
  const root = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
  const within = namespaced && namespace !== undefined ? `/namespaces/${segment(namespace)}` : '';
  return `${root}${within}/${plural}${name === undefined ? '' : `/${segment(name)}`}`;
}

const plainName = /^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/;

/** An empty name would read a whole collection, `..` another one. */
function segment(name: string): string {
  if (plainName.test(name)) return name;
  if (name === '' || name === '.' || name === '..') {
    throw new KubeError('Invalid', `${JSON.stringify(name)} is not a name of an object`, { status: 422 });
  }
  return encodeURIComponent(name);
}

function queryOf({ labelSelector, fieldSelector }: Selection): URLSearchParams {
  const query = new URLSearchParams();
  if (labelSelector) query.set('labelSelector', labelSelector);
  if (fieldSelector) query.set('fieldSelector', fieldSelector);
  return query;
}

function withQuery(path: string, query: URLSearchParams): string {
  const text = query.toString();
  return text ? `${path}?${text}` : path;
}

function callOf(verb: string, { plural }: Resource, namespace?: string, name?: string): string {
  const where = [namespace, name].filter((part) => part !== undefined).join('/');
  return where ? `${verb} ${plural} ${where}` : `${verb} ${plural}`;
}

async function pause(ms: number, call: string, signal: AbortSignal | undefined): Promise<void> {
  try {
    await sleep(ms, undefined, signal ? { signal } : {});
  } catch {
    throw new KubeError('Aborted', `${call}: aborted`);
  }
}
