import type { SpecializedModel } from '../../../crds/v1alpha1/kinds.ts';
import type { SpecializedModelStatus } from '../../../crds/v1alpha1/specialized-model.ts';
import type { ObjectKey } from '../../../kube/types.ts';

/**
 * The statuses that were written and may not be in the cache yet. Without them, a look at a model some milliseconds after a
 * write would take the status before it for the last one, and tell the same change twice.
 */
export class ToldStatuses {
  readonly #told = new Map<ObjectKey, { over: string; status: SpecializedModelStatus }>();

  /** The last status of a model: what was written over what the cache still shows, or what the cache shows. */
  last(key: ObjectKey, { metadata, status }: SpecializedModel): SpecializedModelStatus | undefined {
    const told = this.#told.get(key);
    if (told?.over === metadata.resourceVersion) return told.status;
    this.#told.delete(key);
    return status;
  }

  remember(key: ObjectKey, { metadata }: SpecializedModel, status: SpecializedModelStatus): void {
    this.#told.set(key, { over: metadata.resourceVersion, status });
  }

  forget(key: ObjectKey): void {
    this.#told.delete(key);
  }
}
