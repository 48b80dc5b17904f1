import { performance } from 'node:perf_hooks';
import { type Priority, priorities } from '../../../crds/v1alpha1/queue.ts';
import { type Timed, unwatch, watch } from '../providers/deadlines.ts';

/** What may wait for a place, in one policy. */
export interface QueueLimits {
  maxRequests: number;
  /** Of the bodies that wait. */
  maxBytes: number;
}

/** `Full`: the queue is. `Late`: no place came in time. `Left`: the client did. */
export type Refusal = 'Full' | 'Late' | 'Left';

/** One that waits. */
export class Waiting implements Timed {
  readonly bytes: number;
  readonly priority: Priority;
  readonly dueAt: number;
  /** Resolves with undefined when there is a place, which is then taken. */
  readonly settled: Promise<Refusal | undefined>;
  readonly #gate: Gate;
  #settle!: (refusal: Refusal | undefined) => void;

  constructor(gate: Gate, bytes: number, priority: Priority, dueAt: number) {
    this.#gate = gate;
    this.bytes = bytes;
    this.priority = priority;
    this.dueAt = dueAt;
    this.settled = new Promise((resolve) => {
      this.#settle = resolve;
    });
  }

  overdue(): void {
    this.#gate.remove(this, 'Late');
  }

  /** The client has left. */
  fail(): void {
    this.#gate.remove(this, 'Left');
  }

  settle(refusal: Refusal | undefined): void {
    this.#settle(refusal);
  }
}

/** How much of one policy waits, at all of its backends. */
class Queued {
  requests = 0;
  bytes = 0;
}

/** How much the newest interval counts in the mean. */
const newestShare = 0.1;
const longestRetryAfterSeconds = 60;

/** The places at one backend of one policy. Whoever has one gives it back with `leave`, once. */
export class Gate {
  /** May change while places are taken: it holds for those that come. */
  limit: number;
  inFlight = 0;
  readonly #queued: Queued;
  readonly #waiting: Readonly<Record<Priority, Set<Waiting>>>;
  #leftAt = 0;
  #meanMs = 0;

  constructor(limit: number, queued: Queued) {
    this.limit = limit;
    this.#queued = queued;
    this.#waiting = { High: new Set(), Normal: new Set(), Low: new Set() };
  }

  get length(): number {
    const { High, Normal, Low } = this.#waiting;
    return High.size + Normal.size + Low.size;
  }

  /** Takes a place if there is one that nobody waits for. */
  enter(): boolean {
    if (this.inFlight >= this.limit || this.length > 0) return false;
    this.inFlight++;
    return true;
  }

  /** Waits for a place until `dueAt` (of `performance.now()`); undefined where the queue is full. */
  queue(bytes: number, priority: Priority, dueAt: number, { maxRequests, maxBytes }: QueueLimits): Waiting | undefined {
    if (this.#queued.requests >= maxRequests || this.#queued.bytes + bytes > maxBytes) return undefined;
    const waiting = new Waiting(this, bytes, priority, dueAt);
    this.#queued.requests++;
    this.#queued.bytes += bytes;
    this.#waiting[priority].add(waiting);
    watch(waiting);
    this.#admit(); // the limit may have been raised
    return waiting;
  }

  /** Gives a place back. The next one of the highest priority gets it, of these the one that came first. */
  leave(): void {
    this.inFlight--;
    const now = performance.now();
    if (this.#leftAt > 0) {
      const ms = now - this.#leftAt;
      this.#meanMs = this.#meanMs === 0 ? ms : this.#meanMs + newestShare * (ms - this.#meanMs);
    }
    this.#leftAt = now;
    this.#admit();
  }

  /** Ends the waiting of one that still does. */
  remove(waiting: Waiting, refusal: Refusal | undefined): void {
    if (!this.#waiting[waiting.priority].delete(waiting)) return;
    unwatch(waiting);
    this.#queued.requests--;
    this.#queued.bytes -= waiting.bytes;
    waiting.settle(refusal);
  }

  /** When those that wait now will have got places, at the pace at which places were given back of late. */
  retryAfterSeconds(): number {
    const seconds = Math.ceil((this.#meanMs * (this.length + 1)) / 1000);
    return Math.min(Math.max(seconds, 1), longestRetryAfterSeconds);
  }

  #admit(): void {
    for (const priority of priorities) {
      for (const waiting of this.#waiting[priority]) {
        if (this.inFlight >= this.limit) return;
        this.inFlight++;
        this.remove(waiting, undefined);
      }
    }
  }
}

/** The gates of all policies, which outlive the tables: what was let in under one still counts under the next. */
export class Gates {
  readonly #policies = new Map<string, { queued: Queued; gates: Map<string, Gate> }>();

  /** That of a backend of the policy with this UID. */
  of(uid: string, backend: string, limit: number): Gate {
    let policy = this.#policies.get(uid);
    if (!policy) this.#policies.set(uid, (policy = { queued: new Queued(), gates: new Map<string, Gate>() }));
    let gate = policy.gates.get(backend);
    if (!gate) policy.gates.set(backend, (gate = new Gate(limit, policy.queued)));
    gate.limit = limit;
    return gate;
  }

  /** Forgets those of policies that are gone. Whoever is in flight or waits there keeps his gate. */
  retain(uids: ReadonlySet<string>): void {
    for (const uid of this.#policies.keys()) if (!uids.has(uid)) this.#policies.delete(uid);
  }
}
