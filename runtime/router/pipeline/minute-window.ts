/** One for each second that is remembered: the current one, and the 60 before it. */
const slots = 61;

/**
 * What was taken in the last minute: a sliding window of 61 slots of a second each. What is taken counts for 60 to 61
 * seconds, so that no 60 seconds, wherever they begin, hold more than the limit. Times are ms of a clock that never goes
 * back and began at 0 or later; amounts are whole numbers.
 */
export class MinuteWindow {
  readonly #taken = new Float64Array(slots);
  #second = 0;
  #sum = 0;

  /** What counts now. May be more than the limit: what a request costs in the end is known when it is over. */
  used(now: number): number {
    this.#advance(now);
    return this.#sum;
  }

  add(amount: number, now: number): void {
    this.#advance(now);
    const slot = this.#second % slots;
    this.#taken[slot] = (this.#taken[slot] as number) + amount;
    this.#sum += amount;
  }

  /** Gives back of what was taken at `at`, if that still counts. */
  giveBack(amount: number, at: number, now: number): void {
    this.#advance(now);
    const second = secondOf(at);
    if (second <= this.#second - slots) return;
    const slot = second % slots;
    const given = Math.min(amount, this.#taken[slot] as number);
    this.#taken[slot] = (this.#taken[slot] as number) - given;
    this.#sum -= given;
  }

  /** How long until `amount`, which is at most `limit`, may be taken, in ms; 0: now. */
  waitFor(amount: number, limit: number, now: number): number {
    this.#advance(now);
    let left = this.#sum;
    if (left + amount <= limit) return 0;
    for (let second = Math.max(this.#second - slots + 1, 0); second < this.#second; second++) {
      left -= this.#taken[second % slots] as number;
      if (left + amount <= limit) return expiryOf(second) - now;
    }
    return expiryOf(this.#second) - now;
  }

  /** How long until nothing counts any more, in ms. */
  emptyIn(now: number): number {
    this.#advance(now);
    for (let second = this.#second; second >= 0 && second > this.#second - slots; second--)
      if (this.#taken[second % slots] !== 0) return expiryOf(second) - now;
    return 0;
  }

  #advance(now: number): void {
    const second = secondOf(now);
    // After a long rest each slot is emptied once.
    for (let next = Math.max(this.#second + 1, second - slots + 1); next <= second; next++) {
      this.#sum -= this.#taken[next % slots] as number;
      this.#taken[next % slots] = 0;
    }
    if (second > this.#second) this.#second = second;
  }
}

function secondOf(ms: number): number {
  return Math.floor(ms / 1000);
}

/** When what was taken in this second counts no more, in ms. */
function expiryOf(second: number): number {
  return (second + slots) * 1000;
}
