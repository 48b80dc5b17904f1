import type { RouteTable } from '../routes/table.ts';
import { MinuteWindow } from './minute-window.ts';

/** What one key, or everybody, has taken of one policy. */
export interface Account {
  requests: MinuteWindow;
  tokens: MinuteWindow;
}

/** What one request has taken. */
export interface Reservation {
  account: Account;
  /** So many tokens were foreseen; undefined: the policy does not limit them. */
  tokens: number | undefined;
  /** When, in ms, monotonic. */
  at: number;
  /** Headers of the answer: names and values in turn. */
  headers: readonly string[];
}

/** The account of a policy as a whole. */
const everybody = '';

/**
 * What was taken of the limits of all policies, in this replica of the router. Outlives the tables. Replicas do not speak
 * with one another: each holds its clients to its share, which is right as far as connections are spread evenly.
 */
export class Limits {
  /** How many replicas the router has, this one included. */
  replicas = 1;
  readonly #byPolicy = new Map<string, Map<string, Account>>();

  /** `digest`: of the key whose account it is; undefined: the policy's. */
  account(uid: string, digest: string = everybody): Account {
    let accounts = this.#byPolicy.get(uid);
    if (!accounts) this.#byPolicy.set(uid, (accounts = new Map<string, Account>()));
    let account = accounts.get(digest);
    if (!account) accounts.set(digest, (account = { requests: new MinuteWindow(), tokens: new MinuteWindow() }));
    return account;
  }

  /** What this replica may let through of a limit, rounded up, so that none is left without. */
  share(limit: number): number {
    return Math.ceil(limit / this.replicas);
  }

  /** Forgets policies without limits, and keys that they no longer know. */
  retain({ routes }: Pick<RouteTable, 'routes'>): void {
    const limited = new Map(routes.flatMap(({ route }) => (route.limits ? [[route.policy.uid, route] as const] : [])));
    for (const [uid, accounts] of this.#byPolicy) {
      const route = limited.get(uid);
      if (!route) {
        this.#byPolicy.delete(uid);
        continue;
      }
      const keys = route.access.mode === 'Keys' ? route.access.keys.map(({ sha256 }) => sha256.toLowerCase()) : [];
      const known = new Set(route.limits?.per === 'Key' ? keys : [everybody]);
      for (const digest of accounts.keys()) if (!known.has(digest)) accounts.delete(digest);
    }
  }
}
