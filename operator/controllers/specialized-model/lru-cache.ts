/**
 * Results of a pure function by name, each good while what it was made from is the same object: one change of a model
 * brings it back a dozen times within seconds, for its children and pods. Of too many, the one that was used least recently
 * goes, as results are much larger than their input.
 */
export class LruCache<R> {
  readonly #most: number;
  readonly #results = new Map<string, { from: object; result: R }>();

  constructor(most: number) {
    this.#most = most;
  }

  get(name: string, from: object, compute: () => R): R {
    const known = this.#results.get(name);
    const entry = known?.from === from ? known : { from, result: compute() };
    this.#results.delete(name);
    this.#results.set(name, entry);
    if (this.#results.size > this.#most) this.#forgetOldest();
    return entry.result;
  }

  #forgetOldest(): void {
    for (const oldest of this.#results.keys()) {
      this.#results.delete(oldest);
      return;
    }
  }
}
