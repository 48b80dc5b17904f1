/** So many failures in a row are no coincidence. */
const failuresInARow = 3;
/** A window of failures and answers that is looked at as a whole: its length in ms, and how many make a share. */
const windowMs = 10_000;
const fewestInWindow = 10;
/** An endpoint that is ejected is left alone for this long, doubling with each further ejection, in ms. */
const firstEjectionMs = 1_000;
const longestEjectionMs = 30_000;
/** One that has served for this long since it came back starts with the shortest ejection again, in ms. */
const forgivenMs = 60_000;
/** A new endpoint, and one that came back, gets its full share after this long, in ms; a tenth of it at first. */
const slowStartMs = 10_000;
const firstShare = 0.1;

/**
 * Whether an endpoint is to be asked, from what became of its requests (Envoy's outlier detection and slow start are the
 * models). `In`: it is. `Out`: it is left alone. `Due`: its time out is over, and one request may find out whether it serves
 * again.
 */
export class Health {
  #failures = 0;
  #windowEndsAt = 0;
  #windowFailures = 0;
  #windowAnswers = 0;
  /** 0: it is in. */
  #outUntil = 0;
  #outMs = 0;
  #probing = false;
  #warmAt: number;
  #returnedAt = Number.NEGATIVE_INFINITY;

  /** `now`: ms, of `Date.now()`, as everywhere here. */
  constructor(now: number) {
    this.#warmAt = now + slowStartMs;
  }

  state(now: number): 'In' | 'Out' | 'Due' {
    if (this.#outUntil === 0) return 'In';
    return now < this.#outUntil ? 'Out' : 'Due';
  }

  /** The share that it should get of what others get, in (0, 1]. */
  share(now: number): number {
    if (now >= this.#warmAt) return 1;
    return Math.min(1, Math.max(firstShare, 1 - (this.#warmAt - now) / slowStartMs));
  }

  /** One request goes to an endpoint that is due. The next may when as much time has passed again, if nothing comes of it. */
  probe(now: number): void {
    this.#probing = true;
    this.#outUntil = now + this.#outMs;
  }

  /** A request failed. `gone`: nothing listens there, which one failure tells. */
  failed(now: number, gone: boolean): void {
    if (this.#outUntil > 0) {
      // Those that were sent before it was ejected fail with the one that ejected it.
      if (this.#probing) this.#eject(now, 2 * this.#outMs);
      return;
    }
    this.#count(now);
    this.#windowFailures++;
    this.#failures++;
    const seen = this.#windowFailures + this.#windowAnswers;
    const mostFail = seen >= fewestInWindow && this.#windowFailures > this.#windowAnswers;
    if (!gone && this.#failures < failuresInARow && !mostFail) return;
    const again = now - this.#returnedAt < forgivenMs;
    this.#eject(now, again ? 2 * this.#outMs : firstEjectionMs);
  }

  /** It began to answer: a probe brings it back, with a small share at first. */
  began(now: number): void {
    if (!this.#probing) return;
    this.#probing = false;
    this.#outUntil = 0;
    this.#failures = 0;
    this.#windowEndsAt = 0;
    this.#returnedAt = now;
    this.#warmAt = now + slowStartMs;
  }

  /** A request was answered to its end. */
  answered(now: number): void {
    this.#count(now);
    this.#windowAnswers++;
    this.#failures = 0;
  }

  #eject(now: number, ms: number): void {
    this.#probing = false;
    this.#outMs = Math.min(ms, longestEjectionMs);
    this.#outUntil = now + this.#outMs;
  }

  #count(now: number): void {
    if (now < this.#windowEndsAt) return;
    this.#windowEndsAt = now + windowMs;
    this.#windowFailures = 0;
    this.#windowAnswers = 0;
  }
}
