import type { Upstream } from '../providers/upstreams.ts';
import type { LiveBackend } from '../routes/table.ts';
import type { Attempt, RouterContext } from './exchange.ts';

/** No endpoint works on more than this times the average, when requests go by their prompt. */
const loadFactor = 1.25;

/**
 * The endpoint of a backend to try next, given what was tried: of those that are ready and were not tried, that of the
 * prompt, where requests go by it (`promptHash` is defined), or the one with fewer requests in flight of two random ones.
 * Ejected ones only where there is no better, and one request of one that is due to be tried again.
 */
export function balance(
  live: LiveBackend,
  attempts: readonly Attempt[],
  context: RouterContext,
  promptHash?: number,
): Upstream | undefined {
  const ready = endpointsOf(live, context);
  const tried = attempts.flatMap(({ backend, upstream }) => (backend === live && upstream ? upstream : []));
  const untried = tried.length === 0 ? ready : ready.filter((upstream) => !tried.includes(upstream));
  if (untried.length === 0) return onceMore(attempts, tried, ready);
  const now = Date.now();
  const chosen =
    (promptHash === undefined || untried.length === 1 ? undefined : byPrompt(promptHash, ready, tried, now, context)) ??
    ofTwo(untried, now, context.random);
  if (chosen.health.state(now) === 'Due') chosen.health.probe(now);
  return chosen;
}

function endpointsOf({ backend }: LiveBackend, { endpoints, upstreams }: RouterContext): readonly Upstream[] {
  if (backend.kind === 'Unavailable') return [];
  if (backend.kind === 'Provider') return [upstreams.provider(new URL(backend.baseUrl).origin)];
  return endpoints.ready(backend.namespace, backend.model);
}

/**
 * Consistent hashing with bounded loads (Mirrokni, Thorup, Zadimoghaddam: https://arxiv.org/abs/1608.01350): the first
 * endpoint in the prompt's order that has less to do than the bound.
 */
function byPrompt(
  promptHash: number,
  ready: readonly Upstream[],
  tried: readonly Upstream[],
  now: number,
  { endpoints }: RouterContext,
): Upstream | undefined {
  let inFlight = 1;
  for (const upstream of ready) inFlight += upstream.inFlight;
  const bound = loadBound(inFlight, ready.length);
  return endpoints.ring(ready).find(promptHash, (upstream) => {
    const state = upstream.health.state(now);
    if (state !== 'In') return state === 'Due' && !tried.includes(upstream);
    return upstream.inFlight < Math.ceil(bound * upstream.health.share(now)) && !tried.includes(upstream);
  });
}

/** How much one of `count` endpoints may have to do of `inFlight` requests, the new one among them. */
export function loadBound(inFlight: number, count: number): number {
  return Math.ceil((loadFactor * inFlight) / count);
}

function ofTwo(upstreams: readonly Upstream[], now: number, random: () => number): Upstream {
  const count = upstreams.length;
  const first = Math.floor(random() * count);
  const a = upstreams[first] as Upstream;
  if (count === 1) return a;
  const b = upstreams[(first + 1 + Math.floor(random() * (count - 1))) % count] as Upstream;
  const [stateA, stateB] = [a.health.state(now), b.health.state(now)];
  // One that has been out finds out with the next request whether it serves again; a failure is tried elsewhere.
  if (stateA === 'Due') return a;
  if (stateB === 'Due') return b;
  if (stateA === 'In' && stateB === 'In') return better(a, b, now, random);
  if (stateA === 'In') return a;
  if (stateB === 'In') return b;
  const others = upstreams.filter(({ health }) => health.state(now) !== 'Out');
  return others.length === 0 ? better(a, b, now, random) : ofTwo(others, now, random);
}

/** The one with fewer requests in flight. One that has just come gives way as often as its share says. */
function better(a: Upstream, b: Upstream, now: number, random: () => number): Upstream {
  const [shareA, shareB] = [a.health.share(now), b.health.share(now)];
  if (shareA < shareB && random() >= shareA / shareB) return b;
  if (shareB < shareA && random() >= shareB / shareA) return a;
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
