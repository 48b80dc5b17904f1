import type { Upstream } from '../providers/upstreams.ts';
import { HashRing } from './hash-ring.ts';

const none: readonly Upstream[] = [];

/** Which endpoints of which model may get new requests, at this moment. */
export class EndpointTable {
  #models: ReadonlyMap<string, readonly Upstream[]> = new Map();
  readonly #rings = new WeakMap<readonly Upstream[], HashRing<Upstream>>();

  ready(namespace: string, model: string): readonly Upstream[] {
    return this.#models.get(`${namespace}/${model}`) ?? none;
  }

  /** The ring of endpoints that `ready` gave: made once for them, when it is first asked for. */
  ring(endpoints: readonly Upstream[]): HashRing<Upstream> {
    let ring = this.#rings.get(endpoints);
    if (!ring) this.#rings.set(endpoints, (ring = new HashRing(endpoints, ({ origin }) => origin)));
    return ring;
  }

  /** Puts a new table in the place of the old one. Keys are `namespace/model`. A model whose endpoints stay keeps its ring. */
  replace(models: ReadonlyMap<string, readonly Upstream[]>): void {
    const kept = new Map<string, readonly Upstream[]>();
    for (const [model, endpoints] of models) {
      const before = this.#models.get(model);
      const same = before?.length === endpoints.length && endpoints.every((one, at) => one === before[at]);
      kept.set(model, same ? before : endpoints);
    }
    this.#models = kept;
  }

  get models(): ReadonlyMap<string, readonly Upstream[]> {
    return this.#models;
  }
}
