/**
 * Results of a pure function by the identity of what they were made from: one change of a model brings it back a dozen
 * times within seconds, for its children and pods. Of too many, the one that was used least recently goes, as results are
 * much larger than their input.
 */
export class LruCache<K extends object, R> {
  readonly #most: number;
  readonly #results = new Map<K, R>();

  constructor(most: number) {
    this.#most = most;
  }

  get(key: K, compute: () => R): R {
    const known = this.#results.get(key);
    const result = known ?? compute();
    this.#results.delete(key);
    this.#results.set(key, result);
    if (this.#results.size > this.#most) this.#forgetOldest();
    return result;
  }

  #forgetOldest(): void {
    for (const oldest of this.#results.keys()) {
      this.#results.delete(oldest);
      return;
    }
  }
}
