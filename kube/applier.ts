import { hash as digest } from 'node:crypto';
import { isKubeError, KubeError } from './errors.ts';
import { contains, equals } from './match.ts';
import { type Cluster, type KubeObject, keyOf, type OwnerReference, type Resource } from './types.ts';

export type Outcome = 'Unchanged' | 'Applied';

export interface ApplierOptions {
  cluster: Cluster;
  /** Owns the fields that are applied, e.g. `cadre`. One for each controller. */
  fieldManager: string;
  /** Name of the annotation that keeps a hash of what was wanted, e.g. `cadre.dev/intent`. */
  intentAnnotation: string;
  /**
   * The resourceVersion that the cache of a resource has reached (`Reflector.reached`). Tells an object that is not yet in
   * the cache from one that is gone again.
   */
  reached?: (resource: Resource, namespace: string | undefined) => string | undefined;
}

/** An object of that name exists and belongs to somebody else. Nothing was written. */
export class ChildNameTaken extends Error {
  override readonly name = 'ChildNameTaken';
  readonly code = 'ChildNameTaken';
  readonly kind: string;
  readonly key: string;

  constructor(live: KubeObject) {
    const key = keyOf(live);
    const owner = ownerOf(live);
    const whose = owner ? `belongs to ${owner.kind} ${owner.name}` : 'was not made by us';
    super(`${live.kind} ${key} exists and ${whose}: delete it, or choose another name`);
    this.kind = live.kind;
    this.key = key;
  }
}

/** etcd's first revision, which no object has: an apply that names it can only create. */
const neverVersion = '1';
/** Memories that are kept of each sort; forgetting one costs an apply that changes nothing. */
const mostMemories = 50_000;
/** How long a creation is believed in without `reached`. */
const believedMs = 5000;

interface Written {
  hash: string;
  /** The resourceVersion that our write gave the object. */
  version: number;
  at: number;
}

interface Settled {
  hash: string;
  shape: string;
}

/**
 * Server-side apply with one field manager, and no write where nothing changed.
 *
 * What is compared: an annotation holds a hash of the intent, so that a field which is no longer wanted is noticed; and the
 * live object must contain the desired one (`contains`), so that drift is. Where the server changes what we send (a webhook,
 * a normalised value), the apply that changed nothing is remembered with the state that it found.
 *
 * Own writes: a cache is behind for some milliseconds after a write. The resourceVersion of the last write is remembered, and
 * while the cache shows an older one, the same intent is not written again; the event of the write will bring the key back.
 * resourceVersions are compared as numbers (https://kep.k8s.io/5504; where they are not, the same apply is just repeated).
 *
 * Others' objects: an apply creates what is absent. When the cache knows of none, the apply names a resourceVersion that no
 * object has, so that it fails if there is one; when it knows one, the apply names its UID, so that it fails if that one is
 * gone. Both are one call, and neither can write to an object whose owner was not checked.
 */
export class Applier {
  readonly #cluster: Cluster;
  readonly #fieldManager: string;
  readonly #intent: string;
  readonly #reached: ApplierOptions['reached'];
  readonly #written = new Map<string, Written>();
  readonly #settled = new Map<string, Settled>();
  readonly #deleted = new Map<string, true>();

  constructor({ cluster, fieldManager, intentAnnotation, reached }: ApplierOptions) {
    this.#cluster = cluster;
    this.#fieldManager = fieldManager;
    this.#intent = intentAnnotation;
    this.#reached = reached;
  }

  /**
   * Makes an object as desired. `live` is what the cache has under that key. Rejects with `ChildNameTaken` for an object that
   * lacks the owner that `desired` names (or, without owners, our annotation), and with `KubeError` `Conflict` when the cache
   * was wrong in a way that its next event will cure.
   */
  async apply(resource: Resource, desired: KubeObject, live: KubeObject | undefined): Promise<Outcome> {
    const hash = intentOf(desired);
    const memory = `${resource.plural}/${keyOf(desired)}`;
    if (live) this.#guard(desired, live);
    // Whatever is being deleted can't be kept; it is made anew once it is gone.
    if (live?.metadata.deletionTimestamp !== undefined) return 'Unchanged';
    const unseen = this.#unseen(resource, memory, desired.metadata.namespace, live);
    if (unseen === hash) return 'Unchanged';
    if (live && unseen === undefined) {
      if (live.metadata.annotations?.[this.#intent] === hash && contains(live, desired)) return 'Unchanged';
      if (this.#isSettled(memory, hash, shapeOf(live))) return 'Unchanged';
    }

    const wanted = {
      ...desired,
      metadata: {
        ...desired.metadata,
        annotations: { ...desired.metadata.annotations, [this.#intent]: hash },
        ...(live ? { uid: live.metadata.uid ?? '' } : { resourceVersion: neverVersion }),
      },
    };
    let result: KubeObject;
    try {
      result = await this.#cluster.apply<KubeObject>(resource, wanted, { fieldManager: this.#fieldManager });
    } catch (error) {
      if (!live && isKubeError(error, 'Conflict')) return this.#applyToFound(resource, desired);
      throw conflictIfReplaced(error);
    }
    this.#remember(memory, hash, result);
    if (live && live.metadata.resourceVersion === result.metadata.resourceVersion) {
      this.#settle(memory, { hash, shape: shapeOf(live) });
      return 'Unchanged';
    }
    return 'Applied';
  }

  /**
   * Makes the status of an object exactly `status`, as far as we own it: a field that is left out disappears. Rejects with
   * `KubeError`: `NotFound` or `Conflict` when the object is gone or another one by now.
   */
  async applyStatus(resource: Resource, live: KubeObject & { status?: unknown }, status: object): Promise<Outcome> {
    const hash = hashOf(status);
    const { name, namespace, uid } = live.metadata;
    const memory = `${resource.plural}/${keyOf(live)}/status/${uid}`;
    const unseen = this.#unseen(resource, memory, namespace, live);
    if (unseen === hash) return 'Unchanged';
    if (unseen === undefined) {
      if (equals(status, live.status)) return 'Unchanged';
      if (this.#isSettled(memory, hash, hashOf(live.status))) return 'Unchanged';
    }

    const { apiVersion, kind } = resource;
    const metadata = { name, ...(namespace !== undefined && { namespace }), ...(uid !== undefined && { uid }) };
    let result: KubeObject;
    try {
      const options = { fieldManager: this.#fieldManager };
      result = await this.#cluster.applyStatus<KubeObject>(resource, { apiVersion, kind, metadata, status }, options);
    } catch (error) {
      throw conflictIfReplaced(error);
    }
    this.#remember(memory, hash, result);
    if (live.metadata.resourceVersion === result.metadata.resourceVersion) {
      this.#settle(memory, { hash, shape: hashOf(live.status) });
      return 'Unchanged';
    }
    return 'Applied';
  }

  /** Deletes these very objects, not others of their names. Returns how many deletions were sent. */
  async prune(resource: Resource, leftovers: Iterable<KubeObject>): Promise<number> {
    const deletions: Promise<void>[] = [];
    for (const { metadata } of leftovers) {
      const { name, namespace, uid } = metadata;
      // Under way already; the cache is behind.
      if (uid === undefined || metadata.deletionTimestamp !== undefined || this.#deleted.has(uid)) continue;
      deletions.push(
        this.#cluster.delete(resource, name, namespace, { uid }).then(() => bounded(this.#deleted, uid, true)),
      );
    }
    await Promise.all(deletions);
    return deletions.length;
  }

  /** Whether an object is as our own last write left it: then its event tells nothing that is not known. */
  isOwnWrite({ plural }: Resource, object: Pick<KubeObject, 'metadata'>): boolean {
    const { uid, resourceVersion } = object.metadata;
    const memory = `${plural}/${keyOf(object)}`;
    const written = [this.#written.get(memory), this.#written.get(`${memory}/status/${uid}`)];
    return written.some((one) => one?.version === Number(resourceVersion));
  }

  /** There is one although the cache knew of none: ours, made a moment ago or by a process before us, or another's. */
  async #applyToFound(resource: Resource, desired: KubeObject): Promise<Outcome> {
    const { name, namespace } = desired.metadata;
    const found = await this.#cluster.get<KubeObject>(resource, name, namespace);
    return this.apply(resource, desired, found);
  }

  #guard(desired: KubeObject, live: KubeObject): void {
    const owner = ownerOf(desired);
    const ours = owner
      ? live.metadata.ownerReferences?.some(({ uid }) => uid === owner.uid)
      : live.metadata.annotations?.[this.#intent] !== undefined;
    if (!ours) throw new ChildNameTaken(live);
  }

  /** The hash of our last write, when the cache does not show that write yet. */
  #unseen(
    resource: Resource,
    memory: string,
    namespace: string | undefined,
    live: KubeObject | undefined,
  ): string | undefined {
    const written = this.#written.get(memory);
    if (!written) return undefined;
    const seen = live ? live.metadata.resourceVersion : this.#reached?.(resource, namespace);
    const unsure = !live && !this.#reached && performance.now() - written.at < believedMs;
    if (unsure || Number(seen) < written.version) return written.hash;
    this.#written.delete(memory);
    return undefined;
  }

  #remember(memory: string, hash: string, { metadata }: KubeObject): void {
    this.#settled.delete(memory);
    bounded(this.#written, memory, { hash, version: Number(metadata.resourceVersion), at: performance.now() });
  }

  #settle(memory: string, settled: Settled): void {
    bounded(this.#settled, memory, settled);
  }

  #isSettled(memory: string, hash: string, shape: string): boolean {
    const settled = this.#settled.get(memory);
    return settled?.hash === hash && settled.shape === shape;
  }
}

/** The controller among the owners, else the first. */
function ownerOf({ metadata }: KubeObject): OwnerReference | undefined {
  return metadata.ownerReferences?.find(({ controller }) => controller) ?? metadata.ownerReferences?.[0];
}

const intents = new WeakMap<KubeObject, string>();

/** The hash of a desired object; whoever applies the same object again must not have changed it. */
function intentOf(desired: KubeObject): string {
  const known = intents.get(desired);
  if (known !== undefined) return known;
  const hash = hashOf(desired);
  intents.set(desired, hash);
  return hash;
}

/** Builders give their fields in a fixed order: no sorting is needed for equal intents to have equal hashes. */
function hashOf(value: unknown): string {
  return digest('sha256', JSON.stringify(value) ?? '', 'base64url').slice(0, 16);
}

/** All of an object but what changes without anybody wanting something else. */
function shapeOf(live: KubeObject & { status?: unknown }): string {
  const { status: _, metadata, ...rest } = live;
  const { labels, annotations, ownerReferences, finalizers } = metadata;
  return hashOf({ ...rest, labels, annotations, ownerReferences, finalizers });
}

/** The server calls another UID an invalid change of an immutable field. */
function conflictIfReplaced(error: unknown): unknown {
  const replaced = isKubeError(error, 'Invalid') && error.fields.some(({ field }) => field === 'metadata.uid');
  if (!replaced) return error;
  return new KubeError('Conflict', `${error.message}: it was deleted and made again`, { status: 409, cause: error });
}

function bounded<V>(map: Map<string, V>, key: string, value: V): void {
  map.delete(key);
  map.set(key, value);
  if (map.size <= mostMemories) return;
  for (const oldest of map.keys()) {
    map.delete(oldest);
    return;
  }
}
