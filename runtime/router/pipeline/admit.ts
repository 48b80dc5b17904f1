import { performance } from 'node:perf_hooks';
import { ApiError } from '../errors.ts';
import { clientGone, type Failure, timedOut } from '../providers/failure.ts';
import type { LiveBackend } from '../routes/table.ts';
import type { Gate } from './admission.ts';
import type { Batch } from './batch.ts';
import { type Exchange, type RouterContext, set } from './exchange.ts';

/** A place at a backend, to be given back once; or why there is none. */
export type Place = { leave(): void; failure?: never } | { failure: Failure };

/** The place that the texts of one request have together. */
interface Shared {
  place: Promise<Place>;
  users: number;
}

const shared = new WeakMap<Batch, Map<LiveBackend, Shared>>();

/** Takes a place at a backend with `maxConcurrency`, if need be after waiting for it. */
export function admit(live: LiveBackend, limit: number, exchange: Exchange, context: RouterContext): Promise<Place> {
  return exchange.text
    ? together(exchange.text.batch, live, limit, exchange, context)
    : enter(live, limit, exchange, context);
}

async function enter(live: LiveBackend, limit: number, exchange: Exchange, context: RouterContext): Promise<Place> {
  const { route, longName } = set(exchange.route, 'route');
  const gate = context.gates.of(route.policy.uid, live.name, limit);
  if (gate.enter()) return gate;
  const { queue } = route;
  if (!queue) return { failure: overloaded(live.name, 'Full', gate, 'Backend') };
  const startedAt = performance.now();
  const priority = exchange.principal?.priorities?.get(longName) ?? 'Normal';
  const dueAt = Math.min(startedAt + queue.maxWaitMs, exchange.deadline);
  const waiting = exchange.gone ? undefined : gate.queue(exchange.raw.length, priority, dueAt, queue);
  if (!waiting) return { failure: exchange.gone ? clientGone : overloaded(live.name, 'Full', gate, 'Backend') };
  const series = context.metrics.series(longName, live.name);
  series.queued++;
  exchange.call = waiting;
  const refusal = await waiting.settled;
  exchange.call = undefined;
  series.queued--;
  series.queueWait.observe((performance.now() - startedAt) / 1000);
  if (refusal === undefined) return gate;
  if (refusal === 'Left') return { failure: clientGone };
  if (dueAt === exchange.deadline) return { failure: timedOut(live.name, 'total', route.timeouts.totalMs) };
  return { failure: overloaded(live.name, 'Late', gate, queue.onDeadline === 'Reject' ? 'Nowhere' : 'Backend') };
}

/** A request with several texts takes one place, for as long as one of them is under way. */
async function together(
  batch: Batch,
  live: LiveBackend,
  limit: number,
  exchange: Exchange,
  context: RouterContext,
): Promise<Place> {
  let places = shared.get(batch);
  if (!places) shared.set(batch, (places = new Map<LiveBackend, Shared>()));
  let own = places.get(live);
  if (!own) places.set(live, (own = { place: enter(live, limit, exchange, context), users: 0 }));
  const { place } = own;
  const users = own;
  users.users++;
  const got = await place;
  const leave = (): void => {
    if (--users.users > 0) return;
    if (places.get(live) === users) places.delete(live);
    if (!got.failure) got.leave();
  };
  if (!got.failure) return { leave };
  leave();
  return got;
}

function overloaded(backend: string, why: 'Full' | 'Late', gate: Gate, retry: Failure['retry']): Failure {
  const what = why === 'Full' ? 'has as many requests as it may' : 'had no place in time (queue.maxWait)';
  return {
    reason: why === 'Full' ? 'QueueFull' : 'QueueTimeout',
    retry,
    error: new ApiError(429, 'overloaded', `backend "${backend}" ${what}; try again later`, {
      retryAfterSeconds: gate.retryAfterSeconds(),
    }),
  };
}
