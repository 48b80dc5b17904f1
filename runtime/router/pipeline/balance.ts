import type { Upstream } from '../providers/upstreams.ts';
import type { LiveBackend } from '../routes/table.ts';
import type { Attempt, RouterContext } from './exchange.ts';

/**
 * The endpoint of a backend to try next, given what was tried: of those that are ready and were not tried, the one with
 * fewer requests in flight of two random ones; one that has just failed others only where there is no better.
 */
export function balance(live: LiveBackend, attempts: readonly Attempt[], context: RouterContext): Upstream | undefined {
  const ready = endpointsOf(live, context);
  const tried = attempts.flatMap(({ backend, upstream }) => (backend === live && upstream ? upstream : []));
  const now = Date.now();
  const untried = tried.length === 0 ? ready : ready.filter((upstream) => !tried.includes(upstream));
  if (untried.length === 1) return untried[0];
  if (untried.length > 1) {
    const rested = untried.filter((upstream) => !upstream.resting(now));
    return leastInFlightOfTwo(rested.length > 0 ? rested : untried, context.random);
  }
  return onceMore(attempts, tried, ready);
}

function endpointsOf({ backend }: LiveBackend, { endpoints, upstreams }: RouterContext): readonly Upstream[] {
  if (backend.kind === 'Unavailable') return [];
  if (backend.kind === 'Provider') return [upstreams.provider(new URL(backend.baseUrl).origin)];
  return endpoints.ready(backend.namespace, backend.model);
}

function leastInFlightOfTwo(upstreams: readonly Upstream[], random: () => number): Upstream | undefined {
  const count = upstreams.length;
  const first = Math.floor(random() * count);
  if (count === 1) return upstreams[first];
  const second = (first + 1 + Math.floor(random() * (count - 1))) % count;
  const [a, b] = [upstreams[first] as Upstream, upstreams[second] as Upstream];
  return b.inFlight < a.inFlight ? b : a;
}

/**
 * A connection that was kept may be closed by the other side at the very moment it is used again. That tells nothing about
 * the endpoint, so the last one is asked once more when there is no other.
 */
function onceMore(
  attempts: readonly Attempt[],
  tried: readonly Upstream[],
  ready: readonly Upstream[],
): Upstream | undefined {
  const last = attempts.at(-1);
  if (last?.failure?.reason !== 'Reset' || !last.upstream || !ready.includes(last.upstream)) return undefined;
  return tried.filter((upstream) => upstream === last.upstream).length === 1 ? last.upstream : undefined;
}
