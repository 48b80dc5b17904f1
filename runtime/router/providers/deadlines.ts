/** How often deadlines are looked at, in ms: none is kept more exactly than this. */
const tickMs = 25;

/** Something that has to have happened by a time. */
export interface Timed {
  /** ms, of `performance.now()`; may move while it is watched. */
  dueAt: number;
  overdue(): void;
}

const watched = new Set<Timed>();
let ticker: NodeJS.Timeout | undefined;

/**
 * Calls `overdue` once when `dueAt` has passed. One clock for all: three timers for each request, set and cleared again,
 * would cost more than parsing it.
 */
export function watch(timed: Timed): void {
  watched.add(timed);
  ticker ??= setInterval(look, tickMs);
}

export function unwatch(timed: Timed): void {
  watched.delete(timed);
}

function look(): void {
  const now = performance.now();
  for (const timed of watched) {
    if (timed.dueAt > now) continue;
    watched.delete(timed);
    timed.overdue();
  }
  if (watched.size > 0) return;
  clearInterval(ticker);
  ticker = undefined;
}
