import type { Registry } from 'prom-client';
import { type QueueMetrics, queueMetrics } from './queue-metrics.ts';
import type { ObjectKey } from './types.ts';

/** `High` is what somebody changed; `Low` is a look at everything, e.g. after a start. */
export type Priority = 'High' | 'Low';

export interface QueueOptions {
  /** Label of the metrics: the controller's name. */
  name: string;
  registry?: Registry;
  /** Wait after the first failure of a key, in milliseconds; doubles with each one. Default: 5. */
  baseDelayMs?: number;
  /** Longest wait, in milliseconds. Default: 5 minutes. */
  maxDelayMs?: number;
  /** Limits how often keys come back by `addRateLimited`, all together. Default: no limit. */
  rate?: { perSecond: number; burst: number };
}

/**
 * A queue of keys with the semantics of client-go's workqueue: a key is there at most once, is never given to two workers at
 * a time, and one that is added while it is worked on comes again afterwards. Higher priority first, oldest first within one.
 */
export class WorkQueue {
  readonly #ready: Record<Priority, Set<ObjectKey>> = { High: new Set(), Low: new Set() };
  readonly #processing = new Set<ObjectKey>();
  /** Keys added while they are worked on. */
  readonly #again = new Map<ObjectKey, Priority>();
  readonly #failures = new Map<ObjectKey, number>();
  readonly #delayed = new DelayedKeys((key) => this.add(key));
  readonly #getters: ((key: ObjectKey | undefined) => void)[] = [];
  readonly #metrics: QueueMetrics | undefined;
  readonly #baseDelayMs: number;
  readonly #maxDelayMs: number;
  readonly #bucket: TokenBucket | undefined;
  #whenIdle: (() => void)[] = [];
  #closed = false;

  constructor({ name, registry, baseDelayMs = 5, maxDelayMs = 300_000, rate }: QueueOptions) {
    this.#baseDelayMs = baseDelayMs;
    this.#maxDelayMs = maxDelayMs;
    this.#bucket = rate && new TokenBucket(rate.perSecond, rate.burst);
    this.#metrics = registry && queueMetrics(registry, name);
  }

  /** Keys that are ready and not yet given out. */
  get depth(): number {
    return this.#ready.High.size + this.#ready.Low.size;
  }

  /** Keys that wait for their time. */
  get delayed(): number {
    return this.#delayed.size;
  }

  add(key: ObjectKey, priority: Priority = 'High'): void {
    if (this.#closed) return;
    if (this.#processing.has(key)) {
      if (!this.#again.has(key)) this.#metrics?.added(key);
      if (priority === 'High' || !this.#again.has(key)) this.#again.set(key, priority);
      return;
    }
    if (this.#ready.High.has(key)) return;
    if (this.#ready.Low.has(key)) {
      if (priority === 'Low') return;
      this.#ready.Low.delete(key);
    } else {
      this.#metrics?.added(key);
    }
    this.#makeReady(key, priority);
  }

  /** Adds the key after a while. When it waits already, the earlier time holds. */
  addAfter(key: ObjectKey, ms: number): void {
    if (this.#closed) return;
    if (ms <= 0) this.add(key);
    else this.#delayed.add(key, ms);
  }

  /** Adds a key that failed: after its own back-off, and when the overall rate allows. */
  addRateLimited(key: ObjectKey): void {
    if (this.#closed) return;
    const failures = this.#failures.get(key) ?? 0;
    this.#failures.set(key, failures + 1);
    this.#metrics?.retried();
    const backOff = Math.min(this.#baseDelayMs * 2 ** failures, this.#maxDelayMs);
    this.addAfter(key, Math.max(backOff, this.#bucket?.take() ?? 0));
  }

  /** How often the key failed since it was last forgotten. */
  failures(key: ObjectKey): number {
    return this.#failures.get(key) ?? 0;
  }

  /** The key succeeded, or is gone: its next failure is its first. */
  forget(key: ObjectKey): void {
    this.#failures.delete(key);
  }

  /** The next key; waits for one. The caller must call `done`. Undefined once the signal aborts or the queue is closed. */
  async get(signal?: AbortSignal): Promise<ObjectKey | undefined> {
    if (this.#closed || signal?.aborted) return undefined;
    const key = this.#takeReady();
    if (key !== undefined) return key;
    return new Promise((resolve) => {
      const settle = (next: ObjectKey | undefined): void => {
        signal?.removeEventListener('abort', leave);
        resolve(next);
      };
      const leave = (): void => {
        this.#getters.splice(this.#getters.indexOf(settle), 1);
        settle(undefined);
      };
      signal?.addEventListener('abort', leave, { once: true });
      this.#getters.push(settle);
    });
  }

  /** The work on a key has ended, well or not. */
  done(key: ObjectKey): void {
    if (!this.#processing.delete(key)) return;
    this.#metrics?.finished(key);
    const priority = this.#again.get(key);
    if (priority !== undefined) {
      this.#again.delete(key);
      if (this.#closed) this.#metrics?.dropped(key);
      else this.#makeReady(key, priority);
    }
    if (this.#processing.size === 0) {
      for (const resolve of this.#whenIdle.splice(0)) resolve();
    }
  }

  /**
   * Ends the queue: nothing more is taken in or given out, and what waits is dropped, because whoever works next looks at
   * everything anyway. Resolves once no key is worked on, with true, or at the deadline, with false.
   */
  async drain(deadlineMs: number): Promise<boolean> {
    this.#closed = true;
    this.#delayed.clear();
    for (const keys of Object.values(this.#ready)) {
      for (const key of keys) this.#metrics?.dropped(key);
      keys.clear();
    }
    for (const resolve of this.#getters.splice(0)) resolve(undefined);
    return this.idle(deadlineMs);
  }

  /** Resolves once no key is worked on, with true, or after so many milliseconds, with false. */
  async idle(deadlineMs: number): Promise<boolean> {
    if (this.#processing.size === 0) return true;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<false>((resolve) => {
      timer = setTimeout(resolve, deadlineMs, false);
    });
    const idle = new Promise<true>((resolve) => this.#whenIdle.push(() => resolve(true)));
    try {
      return await Promise.race([idle, late]);
    } finally {
      clearTimeout(timer);
    }
  }

  #makeReady(key: ObjectKey, priority: Priority): void {
    this.#ready[priority].add(key);
    if (this.#getters.length > 0) this.#getters.shift()?.(this.#takeReady());
  }

  #takeReady(): ObjectKey | undefined {
    const keys = this.#ready.High.size > 0 ? this.#ready.High : this.#ready.Low;
    for (const key of keys) {
      keys.delete(key);
      this.#processing.add(key);
      this.#metrics?.started(key);
      return key;
    }
    return undefined;
  }
}

/** Keys with the time at which each is due; one timer for all of them. */
class DelayedKeys {
  readonly #due: (key: ObjectKey) => void;
  readonly #times = new Map<ObjectKey, number>();
  /** A binary heap by time. An entry that is not the key's time any more is passed over. */
  #heap: { at: number; key: ObjectKey }[] = [];
  #timer: NodeJS.Timeout | undefined;
  #timerAt = Number.POSITIVE_INFINITY;

  constructor(due: (key: ObjectKey) => void) {
    this.#due = due;
  }

  get size(): number {
    return this.#times.size;
  }

  add(key: ObjectKey, ms: number): void {
    const at = performance.now() + ms;
    const known = this.#times.get(key);
    if (known !== undefined && known <= at) return;
    this.#times.set(key, at);
    this.#push({ at, key });
    this.#arm();
  }

  clear(): void {
    clearTimeout(this.#timer);
    this.#timerAt = Number.POSITIVE_INFINITY;
    this.#times.clear();
    this.#heap = [];
  }

  #arm(): void {
    const first = this.#heap[0];
    if (!first || first.at >= this.#timerAt) return;
    clearTimeout(this.#timer);
    this.#timerAt = first.at;
    // setTimeout takes at most 2^31 - 1 ms; it looks again then.
    this.#timer = setTimeout(this.#fire, Math.min(Math.max(0, Math.ceil(first.at - performance.now())), 2 ** 31 - 1));
    // Keys that wait are no reason for a process to live.
    this.#timer.unref();
  }

  #fire = (): void => {
    this.#timerAt = Number.POSITIVE_INFINITY;
    const now = performance.now();
    for (let first = this.#heap[0]; first && first.at <= now; first = this.#heap[0]) {
      this.#pop();
      if (this.#times.get(first.key) !== first.at) continue;
      this.#times.delete(first.key);
      this.#due(first.key);
    }
    this.#arm();
  };

  #push(entry: { at: number; key: ObjectKey }): void {
    const heap = this.#heap;
    let at = heap.push(entry) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (this.#timeAt(parent) <= entry.at) break;
      this.#swap(at, parent);
      at = parent;
    }
  }

  #pop(): void {
    const last = this.#heap.pop();
    if (!last || this.#heap.length === 0) return;
    this.#heap[0] = last;
    for (let at = 0; ; ) {
      const left = 2 * at + 1;
      const least = this.#timeAt(left + 1) < this.#timeAt(left) ? left + 1 : left;
      if (this.#timeAt(least) >= last.at) return;
      this.#swap(at, least);
      at = least;
    }
  }

  #timeAt(index: number): number {
    return this.#heap[index]?.at ?? Number.POSITIVE_INFINITY;
  }

  #swap(a: number, b: number): void {
    const [first, second] = [this.#heap[a], this.#heap[b]];
    if (!first || !second) return;
    this.#heap[a] = second;
    this.#heap[b] = first;
  }
}

/** Tokens that come back at a steady rate. */
class TokenBucket {
  readonly #perMs: number;
  readonly #burst: number;
  #tokens: number;
  #at = performance.now();

  constructor(perSecond: number, burst: number) {
    this.#perMs = perSecond / 1000;
    this.#burst = burst;
    this.#tokens = burst;
  }

  /** Reserves one token and says how many milliseconds later it may be used. */
  take(): number {
    const now = performance.now();
    this.#tokens = Math.min(this.#burst, this.#tokens + (now - this.#at) * this.#perMs) - 1;
    this.#at = now;
    return this.#tokens >= 0 ? 0 : -this.#tokens / this.#perMs;
  }
}
