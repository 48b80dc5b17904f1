import { type Failure, outrun } from '../providers/failure.ts';
import type { Upstream } from '../providers/upstreams.ts';
import type { LiveBackend } from '../routes/table.ts';
import { type Attempt, type Exchange, type RouterContext, set } from './exchange.ts';

type Send = (exchange: Exchange, attempt: Attempt, context: RouterContext) => Promise<void>;

/** Whom to ask as well. */
export interface Second {
  live: LiveBackend;
  upstream: Upstream;
}

/** A call that is under way. */
interface Running {
  fail(failure: Failure): void;
}

/** Attempts to answer one request that run beside each other, of which the first to begin its answer is let go on. */
export class Race {
  readonly #calls = new Map<Running, Attempt>();
  #first: Attempt | undefined;

  /** Whose answer began first. */
  get first(): Attempt | undefined {
    return this.#first;
  }

  /** A call of an attempt begins. */
  add(call: Running, attempt: Attempt): void {
    this.#calls.set(call, attempt);
  }

  over(call: Running): void {
    this.#calls.delete(call);
  }

  /** The answer of an attempt has begun: all others are ended. */
  began(attempt: Attempt): void {
    if (this.#first) return;
    this.#first = attempt;
    for (const [call, other] of this.#calls) if (other !== attempt) call.fail(outrun);
  }

  /** Ends all of them. */
  fail(failure: Failure): void {
    for (const call of this.#calls.keys()) call.fail(failure);
  }
}

/**
 * Sends an attempt, and after `afterMs` without a first byte a second one beside it, if the budget lets it and `second` finds
 * somebody. What is told is that of the attempt that answered; when none did, that of the later failure. It is the last of
 * the exchange's attempts then, and returned.
 */
export async function sendHedged(
  exchange: Exchange,
  attempt: Attempt,
  context: RouterContext,
  send: Send,
  second: () => Second | undefined,
): Promise<Attempt> {
  const { route } = set(exchange.route, 'route');
  const { afterMs, maxRate } = set(route.hedge, 'hedge');
  const budget = context.hedges.of(route.policy.uid);
  budget.pay(maxRate);
  const race = new Race();
  exchange.race = race;
  exchange.call = race;
  const attempts = [attempt];
  const { promise: isLate, resolve } = Promise.withResolvers<boolean>();
  const timer = setTimeout(() => resolve(race.first === undefined), afterMs);
  try {
    const sending = send(exchange, attempt, context);
    const late = await Promise.race([isLate, sending.then(() => false)]);
    const other = late && !exchange.gone ? second() : undefined;
    if (!other || !budget.take()) {
      await sending;
      return attempt;
    }
    const hedged: Attempt = { backend: other.live, upstream: other.upstream };
    attempts.push(hedged);
    exchange.attempts.push(hedged);
    await Promise.all([sending, send(exchange, hedged, context)]);
    const told = attempts.find(({ failure }) => !failure) ?? attempts.findLast(isOwnFailure) ?? hedged;
    exchange.attempts = [...exchange.attempts.filter((one) => one !== told), told];
    return told;
  } finally {
    clearTimeout(timer);
    exchange.race = undefined;
    exchange.call = undefined;
  }
}

function isOwnFailure({ failure }: Attempt): boolean {
  return failure !== undefined && failure !== outrun;
}
