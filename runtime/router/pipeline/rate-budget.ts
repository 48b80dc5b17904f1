/** So many escalations are allowed at once, before any request has paid for them. */
const burst = 10;

/**
 * Holds escalations to a share of the requests without a clock: each request pays the share in, each escalation takes one
 * out, and at most ten wait. So of any n requests in a row at most `share` × n + 10 are escalated.
 */
export class RateBudget {
  #available = burst;

  /** A request has come. */
  pay(share: number): void {
    this.#available = Math.min(burst, this.#available + share);
  }

  /** Whether one more may be escalated, which is counted then. */
  take(): boolean {
    // Sums of shares are off by rounding.
    if (this.#available < 1 - 1e-9) return false;
    this.#available -= 1;
    return true;
  }
}

/** The budgets of all policies, which outlive the tables. */
export class RateBudgets {
  readonly #byPolicy = new Map<string, RateBudget>();

  /** That of the policy with this UID. */
  of(uid: string): RateBudget {
    let budget = this.#byPolicy.get(uid);
    if (!budget) this.#byPolicy.set(uid, (budget = new RateBudget()));
    return budget;
  }

  /** Forgets those of policies that are gone. */
  retain(uids: ReadonlySet<string>): void {
    for (const uid of this.#byPolicy.keys()) if (!uids.has(uid)) this.#byPolicy.delete(uid);
  }
}
