import type { ObjectKey } from '../kube/types.ts';

interface WithStatus<S> {
  metadata: { resourceVersion: string };
  status?: S;
}

/**
 * The statuses that were written and may not be in the cache yet. Without them, a look at an object some milliseconds after a
 * write would take the status before it for the last one, and tell the same change twice.
 */
export class ToldStatuses<S extends object> {
  readonly #told = new Map<ObjectKey, { over: string; status: S }>();

  /** The last status of an object: what was written over what the cache still shows, or what the cache shows. */
  last(key: ObjectKey, { metadata, status }: WithStatus<S>): S | undefined {
    const told = this.#told.get(key);
    if (told?.over === metadata.resourceVersion) return told.status;
    this.#told.delete(key);
    return status;
  }

  remember(key: ObjectKey, { metadata }: WithStatus<S>, status: S): void {
    this.#told.set(key, { over: metadata.resourceVersion, status });
  }

  forget(key: ObjectKey): void {
    this.#told.delete(key);
  }
}
