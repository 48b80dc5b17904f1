import { ApiError } from '../errors.ts';
import { embeddings } from '../operations.ts';
import { type Failure, noEndpoint, unavailable } from '../providers/failure.ts';
import type { Upstream } from '../providers/upstreams.ts';
import type { LiveBackend } from '../routes/table.ts';
import { admit } from './admit.ts';
import { escalate } from './escalate.ts';
import { type Attempt, type Exchange, type RouterContext, type Stage, set } from './exchange.ts';
import { type Second, sendHedged } from './hedge.ts';
import { promptHash } from './prompt-hash.ts';
import { endBroken } from './reply.ts';

type Balance = (
  live: LiveBackend,
  attempts: readonly Attempt[],
  context: RouterContext,
  promptHash?: number,
) => Upstream | undefined;
type Send = (exchange: Exchange, attempt: Attempt, context: RouterContext) => Promise<void>;

/**
 * Balances and sends until somebody answers: other endpoints of the chosen backend first, then the backends to fall back
 * to. Only before the first byte has reached the client: after it, a failure ends the stream with an error event.
 */
export function untilAnswered(balance: Balance, send: Send): Stage {
  return async (exchange, context) => {
    const { route, escalation } = set(exchange.route, 'route');
    exchange.deadline = performance.now() + route.timeouts.totalMs;
    if (escalation && exchange.operation !== embeddings) return escalate(escalation, exchange, context, answeredBy);
    for (const backend of exchange.candidates) if (await answeredBy(backend, exchange, context)) return;
    throw exchange.attempts.at(-1)?.failure?.error ?? new ApiError(503, 'no_backend', 'every backend has the weight 0');
  };

  /** Whether the exchange has come to its end, or holds an answer. */
  async function answeredBy(live: LiveBackend, exchange: Exchange, context: RouterContext): Promise<boolean> {
    const limit = live.backend.kind === 'Unavailable' ? undefined : live.backend.maxConcurrency;
    if (limit === undefined) return answeredByOne(live, exchange, context);
    const place = await admit(live, limit, exchange, context);
    if (place.failure) {
      exchange.attempts.push({ backend: live, upstream: undefined, failure: place.failure });
      if (place.failure.retry === 'Nowhere' && !exchange.gone) throw place.failure.error;
      return exchange.gone;
    }
    try {
      return await answeredByOne(live, exchange, context);
    } finally {
      place.leave();
    }
  }

  /** The same, of a backend that has place for it. */
  async function answeredByOne(live: LiveBackend, exchange: Exchange, context: RouterContext): Promise<boolean> {
    for (let more = context.config.retries.endpoints; more >= 0; more--) {
      const { attempts, judgement } = exchange;
      const tried = judgement ? attempts.filter(isTried) : attempts;
      const upstream = balance(live, tried, context, promptHash(live, exchange));
      if (!upstream) {
        // Whoever was asked beside another has failed in its own words.
        if (!attempts.some(({ backend }) => backend === live))
          exchange.attempts.push({ backend: live, upstream, failure: missing(live) });
        return false;
      }
      let attempt: Attempt = { backend: live, upstream };
      exchange.attempts.push(attempt);
      // The texts of a batch are asked about together: there is no second attempt of one.
      if (exchange.route?.route.hedge && !exchange.text)
        attempt = await sendHedged(exchange, attempt, context, send, () => beside(live, exchange, context));
      else await send(exchange, attempt, context);
      const { failure } = attempt;
      if (!failure || exchange.gone) return true;
      if (exchange.committed) {
        endBroken(exchange, failure.error);
        return true;
      }
      if (failure.retry === 'Nowhere') throw failure.error;
      if (failure.retry === 'Backend') return false;
    }
    return false;
  }

  /** Whom to ask beside an attempt: another endpoint of its backend, else the next one to fall back to. */
  function beside(live: LiveBackend, exchange: Exchange, context: RouterContext): Second | undefined {
    const { attempts, candidates, judgement } = exchange;
    const another = balance(live, attempts, context);
    if (another) return { live, upstream: another };
    if (judgement) return undefined; // who is asked next is for the steps to say
    for (const next of candidates) {
      if (attempts.some(({ backend }) => backend === next)) continue;
      const upstream = balance(next, attempts, context);
      if (upstream) return { live: next, upstream };
    }
    return undefined;
  }
}

/** An answer that was given up for a better one says nothing against who was writing it. */
function isTried({ failure }: Attempt): boolean {
  return failure?.reason !== 'LowConfidence';
}

function missing({ name, backend }: LiveBackend): Failure {
  return backend.kind === 'Unavailable' ? unavailable(name, backend.reason) : noEndpoint(name);
}
