/** Points of each member on the ring: with 100, shares of keys differ by about a tenth. */
const pointsEach = 100;

/** FNV-1a over a string's UTF-16 units, with murmur3's last steps, as FNV alone leaves like strings near each other. 32 bits. */
export function hash(text: string, seed = 0x811c9dc5): number {
  let value = seed;
  for (let at = 0; at < text.length; at++) value = Math.imul(value ^ text.charCodeAt(at), 0x01000193);
  value ^= value >>> 16;
  value = Math.imul(value, 0x85ebca6b);
  value ^= value >>> 13;
  value = Math.imul(value, 0xc2b2ae35);
  return (value ^ (value >>> 16)) >>> 0;
}

/**
 * Consistent hashing: each key has an order of the members, which stays the same, but for those that come or go, when the
 * members change. The same for every router, as it depends on the members' names alone.
 */
export class HashRing<T> {
  readonly #points: Uint32Array;
  readonly #owners: readonly T[];

  constructor(members: readonly T[], nameOf: (member: T) => string) {
    const all = members.flatMap((member) =>
      Array.from({ length: pointsEach }, (_, at) => ({ point: hash(`${nameOf(member)} ${at}`), member })),
    );
    all.sort((a, b) => a.point - b.point || (nameOf(a.member) < nameOf(b.member) ? -1 : 1));
    this.#points = Uint32Array.from(all, ({ point }) => point);
    this.#owners = all.map(({ member }) => member);
  }

  /** The first member, in the key's order, that is taken; undefined if none is. */
  find(key: number, takes: (member: T) => boolean): T | undefined {
    const { length } = this.#owners;
    let low = 0;
    for (let high = length; low < high; ) {
      const middle = (low + high) >>> 1;
      if ((this.#points[middle] as number) < key) low = middle + 1;
      else high = middle;
    }
    let last: T | undefined;
    for (let step = 0; step < length; step++) {
      const owner = this.#owners[(low + step) % length] as T;
      if (owner === last) continue;
      last = owner;
      if (takes(owner)) return owner;
    }
    return undefined;
  }
}
