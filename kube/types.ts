/** What every Kubernetes object has, as JSON on the wire. */
export interface KubeObject {
  apiVersion: string;
  kind: string;
  metadata: ObjectMeta;
}

/** metav1.ObjectMeta as JSON; what we never read is left out. */
export interface ObjectMeta {
  name: string;
  namespace?: string;
  uid?: string;
  resourceVersion?: string;
  generation?: number;
  creationTimestamp?: string;
  deletionTimestamp?: string;
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
  ownerReferences?: OwnerReference[];
  finalizers?: string[];
}

/** metav1.OwnerReference. */
export interface OwnerReference {
  apiVersion: string;
  kind: string;
  name: string;
  uid: string;
  controller?: boolean;
  blockOwnerDeletion?: boolean;
}

/**
 * The JSON form of one of client-node's generated types: dates are strings there, and names that are reserved words, which
 * the types write with an underscore before (`_from`), are as Kubernetes writes them.
 */
export type Json<T> = T extends Date
  ? string
  : T extends (infer U)[]
    ? Json<U>[]
    : T extends object
      ? { [K in keyof T as K extends `_${infer Name}` ? Name : K]: Json<T[K]> }
      : T;

/** Where a kind lives in the API. */
export interface Resource {
  /** e.g. `apps/v1`, or `v1` for the core group. */
  apiVersion: string;
  kind: string;
  /** e.g. `deployments`. */
  plural: string;
  namespaced: boolean;
}

/** `namespace/name`, or `name` for a cluster-scoped object: the key of caches and queues. */
export type ObjectKey = string;

/** The key of an object. */
export function keyOf(object: { metadata: { namespace?: string; name: string } }): ObjectKey {
  const { namespace, name } = object.metadata;
  return namespace === undefined ? name : `${namespace}/${name}`;
}

/** Splits a key of a namespaced object. */
export function splitKey(key: ObjectKey): { namespace: string; name: string } {
  const slash = key.indexOf('/');
  return { namespace: key.slice(0, Math.max(slash, 0)), name: key.slice(slash + 1) };
}

/** Which objects of a kind a list or watch is about. */
export interface Selection {
  namespace?: string;
  labelSelector?: string;
  fieldSelector?: string;
}

/** One page of a list. */
export interface ListPage<T> {
  items: T[];
  resourceVersion: string;
  /** To ask for the next page with; absent on the last. */
  continue?: string;
}

/** One event of a watch. */
export type WatchEvent<T> =
  | { type: 'ADDED' | 'MODIFIED' | 'DELETED'; object: T }
  | { type: 'BOOKMARK'; resourceVersion: string };

/** Limits of one call. */
export interface CallOptions {
  /** Milliseconds until the call is given up with `TimedOut`, the server's answer included. */
  timeoutMs?: number;
  /** Gives the call up with `Aborted`. */
  signal?: AbortSignal;
}

/**
 * What callers need of the API server. Every method rejects with a `KubeError` (`kube/errors.ts`), whose `code` is the
 * Status' reason (`NotFound`, `Conflict`, `Invalid`, `Expired`, `TooManyRequests`, …) or `ConnectFailed`.
 */
export interface Cluster {
  get<T extends KubeObject>(resource: Resource, name: string, namespace?: string, options?: CallOptions): Promise<T>;
  /** One page. `limit` 0 asks for everything at once. */
  list<T extends KubeObject>(resource: Resource, selection: Selection, page: PageOptions): Promise<ListPage<T>>;
  /** Opens a watch; ends when the server ends it, rejects when it breaks. */
  watch<T extends KubeObject>(
    resource: Resource,
    selection: Selection,
    options: WatchOptions,
  ): AsyncIterable<WatchEvent<T>>;
  /** POST; strict field validation. */
  create<T extends KubeObject>(resource: Resource, object: T, options?: CreateOptions): Promise<T>;
  /** PUT with the object's resourceVersion: for Leases. */
  replace<T extends KubeObject>(resource: Resource, object: T, options?: CallOptions): Promise<T>;
  /**
   * Server-side apply of raw JSON, forced; strict field validation. Creates the object when there is none, unless it has
   * `metadata.uid`. Returns the object as it then is, without `managedFields`.
   */
  apply<T extends KubeObject>(resource: Resource, object: T, options: ApplyOptions): Promise<T>;
  /** Server-side apply to the `/status` subresource. */
  applyStatus<T extends KubeObject>(
    resource: Resource,
    object: KubeObject & { status: unknown },
    options: ApplyOptions,
  ): Promise<T>;
  /** Deletes; an object that is gone already, or has another UID than `uid`, is no error. */
  delete(resource: Resource, name: string, namespace: string | undefined, options?: DeleteOptions): Promise<void>;
}

export interface WatchOptions {
  resourceVersion: string;
  timeoutSeconds: number;
  signal: AbortSignal;
}

export interface ApplyOptions extends CallOptions {
  fieldManager: string;
}

export interface CreateOptions extends CallOptions {
  fieldManager?: string;
}

export interface PageOptions extends CallOptions {
  limit: number;
  continue?: string;
  resourceVersion?: string;
}

export interface DeleteOptions extends CallOptions {
  uid?: string;
  propagationPolicy?: 'Background' | 'Foreground' | 'Orphan';
}

/** Read access to what a reflector has seen of one kind. Objects are shared: never change them. */
export interface Store<T extends KubeObject> {
  get(key: ObjectKey): T | undefined;
  list(): Iterable<T>;
  /** Objects under a named index, e.g. `byIndex('owner', uid)`. */
  byIndex(index: string, value: string): readonly T[];
  readonly size: number;
}

/** Computes the values of one index for an object. */
export type Indexer<T> = (object: T) => readonly string[];

/** When to look at an object again, in milliseconds, or never unless something changes. */
export type Requeue = { afterMs: number } | 'never';

/** A change that a reflector saw. `before` is absent for a new object, `after` for one that is gone. */
export interface Change<T extends KubeObject> {
  key: ObjectKey;
  before?: T;
  after?: T;
}
