/**
 * What goes wrong on demand: `POST /__sim/faults` with any of these fields, `DELETE` for none, `SIM_FAULTS` (the same JSON)
 * from the start. Those with `count` hold for that many inference requests.
 */
export interface Faults {
  /** Answered with this status, in the dialect's own shape. */
  fail?: { count: number; status: number; retryAfter?: string };
  /** The connection breaks after so many tokens of the answer. */
  cut?: { count: number; afterTokens: number };
  /** No answer at all; the connection stays open. */
  hang?: { count: number };
  /** The connection breaks before any byte. */
  reset?: { count: number };
  /** Status 200 and a stream whose first event is an error. */
  errorEvent?: { count: number };
  /** The answer begins so much later. */
  slow?: { count: number; seconds: number };
  /** Status of the health check while set. */
  health?: { status: number };
}

export type FaultKind = keyof Faults;
const kinds: Record<FaultKind, true> = {
  fail: true,
  cut: true,
  hang: true,
  reset: true,
  errorEvent: true,
  slow: true,
  health: true,
};

export class FaultPlan {
  #faults: Faults = {};

  /** Throws when a field is not a fault: a typing error must not test the wrong thing. */
  set(faults: object): void {
    for (const name of Object.keys(faults))
      if (!(name in kinds)) throw new Error(`there is no fault ${name}; there are ${Object.keys(kinds).join(', ')}`);
    this.#faults = { ...this.#faults, ...(faults as Faults) };
  }

  clear(): void {
    this.#faults = {};
  }

  get current(): Faults {
    return this.#faults;
  }

  /** Uses one of `count` up. */
  take<K extends Exclude<FaultKind, 'health'>>(kind: K): Faults[K] | undefined {
    const fault = this.#faults[kind];
    if (!fault || fault.count <= 0) return undefined;
    fault.count--;
    return fault;
  }
}
