import type { Upstream } from '../providers/upstreams.ts';

const none: readonly Upstream[] = [];

/** Which endpoints of which model may get new requests, at this moment. */
export class EndpointTable {
  #models: ReadonlyMap<string, readonly Upstream[]> = new Map();

  ready(namespace: string, model: string): readonly Upstream[] {
    return this.#models.get(`${namespace}/${model}`) ?? none;
  }

  /** Puts a new table in the place of the old one. Keys are `namespace/model`. */
  replace(models: ReadonlyMap<string, readonly Upstream[]>): void {
    this.#models = models;
  }

  get models(): ReadonlyMap<string, readonly Upstream[]> {
    return this.#models;
  }
}
