import { type Change, type Indexer, type KubeObject, keyOf, type ObjectKey, type Store } from './types.ts';

interface Index<T> {
  of: Indexer<T>;
  /** Objects by key, by value. */
  values: Map<string, Map<ObjectKey, T>>;
}

/** What a reflector has seen, by key and by index. Every mutation returns the changes that it made. */
export class ObjectStore<T extends KubeObject> implements Store<T> {
  readonly #objects = new Map<ObjectKey, T>();
  readonly #indexes: Map<string, Index<T>>;

  constructor(indexers: Record<string, Indexer<T>> = {}) {
    this.#indexes = new Map(Object.entries(indexers).map(([name, of]) => [name, { of, values: new Map() }]));
  }

  get size(): number {
    return this.#objects.size;
  }

  get(key: ObjectKey): T | undefined {
    return this.#objects.get(key);
  }

  list(): Iterable<T> {
    return this.#objects.values();
  }

  /** Throws for an index that was never declared: that is a mistake in the program. */
  byIndex(index: string, value: string): readonly T[] {
    const found = this.#indexes.get(index);
    if (!found) throw new Error(`no index named ${index}; there are ${[...this.#indexes.keys()].join(', ') || 'none'}`);
    const bucket = found.values.get(value);
    return bucket ? [...bucket.values()] : [];
  }

  /** Takes what the server says about one object. An object of another UID under the same key is a deletion and a creation. */
  set(object: T): Change<T>[] {
    const key = keyOf(object);
    const before = this.#objects.get(key);
    if (before && before.metadata.uid !== object.metadata.uid) {
      return [this.#remove(key, before), this.#put(key, undefined, object)];
    }
    if (before && before.metadata.resourceVersion === object.metadata.resourceVersion) return [];
    return [this.#put(key, before, object)];
  }

  /** `last` is the object as it was when it was deleted. */
  delete(last: T): Change<T>[] {
    const key = keyOf(last);
    const before = this.#objects.get(key);
    return before ? [this.#remove(key, before)] : [];
  }

  /** Takes a whole list; what is missing in it is gone. With a namespace, the list is that namespace's alone. */
  replace(objects: Iterable<T>, namespace?: string): Change<T>[] {
    const missing = new Map<ObjectKey, T>();
    for (const [key, object] of this.#objects) {
      if (namespace === undefined || object.metadata.namespace === namespace) missing.set(key, object);
    }
    const changes: Change<T>[] = [];
    for (const object of objects) {
      missing.delete(keyOf(object));
      changes.push(...this.set(object));
    }
    for (const [key, object] of missing) changes.push(this.#remove(key, object));
    return changes;
  }

  #put(key: ObjectKey, before: T | undefined, after: T): Change<T> {
    this.#objects.set(key, after);
    for (const { of, values } of this.#indexes.values()) {
      const now = of(after);
      if (before) {
        for (const value of of(before)) if (!now.includes(value)) removeFrom(values, value, key);
      }
      for (const value of now) {
        const bucket = values.get(value);
        if (bucket) bucket.set(key, after);
        else values.set(value, new Map([[key, after]]));
      }
    }
    return before ? { key, before, after } : { key, after };
  }

  #remove(key: ObjectKey, before: T): Change<T> {
    this.#objects.delete(key);
    for (const { of, values } of this.#indexes.values()) {
      for (const value of of(before)) removeFrom(values, value, key);
    }
    return { key, before };
  }
}

function removeFrom<T>(values: Map<string, Map<ObjectKey, T>>, value: string, key: ObjectKey): void {
  const bucket = values.get(value);
  if (!bucket?.delete(key)) return;
  if (bucket.size === 0) values.delete(value);
}
