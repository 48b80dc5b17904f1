import { Counter, type Registry } from 'prom-client';
import type { TokenUsage } from './answers/document.ts';

/** Tokens of the attempts of one backend for one key with one outcome, and what they cost. */
export interface Spending {
  key: string;
  outcome: string;
  tokens: TokenUsage;
  /** Nano-dollars, a whole number. */
  cost: number;
  /** Attempts whose cost is unknown. */
  unknown: number;
}

/** Keys of one backend that have series of their own; those beyond are `_other`, which no key can be called. */
const mostKeys = 100;

/** What was spent on one backend of one policy. */
export class SpendingBook {
  readonly #entries = new Map<string, Spending>();
  readonly #keys = new Set<string>();

  /** Where to add what an attempt of this key cost. No key: the empty name. */
  of(key: string, outcome: string): Spending {
    const known = this.#entries.get(`${outcome} ${key}`);
    if (known) return known;
    const name = this.#keys.has(key) || this.#keys.size < mostKeys ? key : '_other';
    this.#keys.add(name);
    let entry = this.#entries.get(`${outcome} ${name}`);
    if (!entry) {
      const tokens = { prompt: 0, completion: 0, cached: 0, cacheWrite: 0, reasoning: 0 };
      this.#entries.set(`${outcome} ${name}`, (entry = { key: name, outcome, tokens, cost: 0, unknown: 0 }));
    }
    return entry;
  }

  entries(): Iterable<Spending> {
    return this.#entries.values();
  }
}

/** Registers the metrics of all books. */
export function registerSpending(
  registry: Registry,
  books: () => Iterable<{ labels: { policy: string; backend: string }; book: SpendingBook }>,
): void {
  const registers = [registry];
  const labelNames = ['policy', 'backend', 'key', 'outcome'] as const;
  void new Counter({
    name: 'cadre_router_tokens_total',
    help: 'Tokens of every attempt, as the upstreams counted them: prompt, completion; of these, cached, cacheWrite and reasoning.',
    labelNames: [...labelNames, 'kind'],
    registers,
    collect() {
      this.reset();
      for (const { labels, book } of books()) {
        for (const { key, outcome, tokens } of book.entries()) {
          for (const [kind, value] of Object.entries(tokens))
            if (value > 0) this.inc({ ...labels, key, outcome, kind }, value);
        }
      }
    },
  });
  void new Counter({
    name: 'cadre_router_cost_dollars_total',
    help: 'Cost of every attempt whose tokens and price are known. Counted in nano-dollars.',
    labelNames,
    registers,
    collect() {
      this.reset();
      for (const { labels, book } of books())
        for (const { key, outcome, cost } of book.entries())
          if (cost > 0) this.inc({ ...labels, key, outcome }, cost / 1e9);
    },
  });
  void new Counter({
    name: 'cadre_router_cost_unknown_total',
    help: 'Attempts whose cost is unknown, for want of a price or of a count of tokens.',
    labelNames,
    registers,
    collect() {
      this.reset();
      for (const { labels, book } of books())
        for (const { key, outcome, unknown } of book.entries())
          if (unknown > 0) this.inc({ ...labels, key, outcome }, unknown);
    },
  });
}
