import type { EscalationReason } from '../../../crds/v1alpha1/escalation.ts';
import { ApiError } from '../errors.ts';
import { serves } from '../operations.ts';
import type { Failure, FailureReason } from '../providers/failure.ts';
import type { LiveBackend, LiveEscalation } from '../routes/table.ts';
import { type Attempt, type Exchange, type RouterContext, set } from './exchange.ts';
import type { RateBudget } from './rate-budget.ts';
import { keepAlive } from './reply.ts';
import type { Score } from './score.ts';

/** Asks a backend; true when the exchange has ended or an answer is held, false when others may do better. */
export type AnsweredBy = (live: LiveBackend, exchange: Exchange, context: RouterContext) => Promise<boolean>;

/**
 * Asks the chosen backend, and from cheap to dear those of the policy's steps while the answer is not trusted or none came.
 * An answer at hand is never lost: where nobody does better, it is given.
 */
export async function escalate(
  escalation: LiveEscalation,
  exchange: Exchange,
  context: RouterContext,
  answeredBy: AnsweredBy,
): Promise<void> {
  const waiting = exchange.stream
    ? setInterval(keepAlive, 1000 * context.config.client.commentSeconds, exchange)
    : undefined;
  try {
    const best = await new Climb(escalation, exchange, context).run(answeredBy);
    if (exchange.gone || exchange.committed) return;
    if (!best?.held)
      throw exchange.attempts.at(-1)?.failure?.error ?? new ApiError(503, 'no_backend', 'no backend can be asked');
    const failure = best.held.deliver();
    if (failure) throw failure.error;
  } finally {
    clearInterval(waiting);
  }
}

/** One request on its way from step to step. */
class Climb {
  readonly #escalation: LiveEscalation;
  readonly #exchange: Exchange;
  readonly #context: RouterContext;
  readonly #budget: RateBudget | undefined;
  readonly #asked = new Set<LiveBackend>();
  /** The first step that is still to come: a backend's own and those before it are behind. */
  #position = 0;
  /** The next step is paid for. */
  #isPaid = false;
  #best: Attempt | undefined;
  /** Whose answer was given up before its end. */
  #left: LiveBackend | undefined;

  constructor(escalation: LiveEscalation, exchange: Exchange, context: RouterContext) {
    const { route } = set(exchange.route, 'route');
    this.#escalation = escalation;
    this.#exchange = exchange;
    this.#context = context;
    this.#budget = escalation.maxRate === undefined ? undefined : context.budgets.of(route.policy.uid);
    this.#budget?.pay(escalation.maxRate ?? 0);
  }

  /** The attempt whose answer is to be given; undefined: it has gone out, nobody answered, or the client has left. */
  async run(answeredBy: AnsweredBy): Promise<Attempt | undefined> {
    const exchange = this.#exchange;
    for (let live = this.#fallback(); live; live = this.#next(live)) {
      this.#turnTo(live);
      try {
        await answeredBy(live, exchange, this.#context);
      } catch (error) {
        // The request itself is at fault, or its time is over.
        if (!(this.#best || this.#left) || !(error instanceof ApiError)) throw error;
        exchange.notEscalated = 'NextFailed';
        break;
      }
      if (exchange.gone || exchange.committed) return undefined;
      const attempt = exchange.attempts.at(-1) as Attempt;
      if (attempt.held) this.#best = better(this.#best, attempt);
      else if (attempt.failure?.reason === 'LowConfidence') this.#left = live;
    }
    if (!this.#best && this.#left) await this.#askAgain(this.#left, answeredBy);
    if (this.#best && this.#best !== exchange.attempts.at(-1)) exchange.notEscalated ??= 'NextFailed';
    return this.#best;
  }

  /** Whom to ask after this one; undefined: nobody, as its answer is trusted, or what is at hand must do. */
  #next(live: LiveBackend): LiveBackend | undefined {
    const exchange = this.#exchange;
    const { held, failure } = exchange.attempts.at(-1) as Attempt;
    const reason = held
      ? doubtOf(held.score, exchange.judgement?.threshold, this.#escalation)
      : reasonOf(failure, this.#escalation);
    const step = reason && this.#step();
    if (step && this.#pay()) {
      exchange.escalations = [...exchange.escalations, { from: live.name, to: step.to.name, reason }];
      this.#isPaid = false;
      return step.to;
    }
    const isAtHand = this.#best !== undefined || this.#left !== undefined;
    if (!step && isAtHand && !held) exchange.notEscalated = 'NextFailed';
    return isAtHand ? undefined : this.#fallback();
  }

  /** An answer that was given up is asked for again, as it is better than none. */
  async #askAgain(live: LiveBackend, answeredBy: AnsweredBy): Promise<void> {
    const exchange = this.#exchange;
    exchange.judgement = { threshold: undefined, doubts: () => false, mayLeave: () => false };
    await answeredBy(live, exchange, this.#context);
    const attempt = exchange.attempts.at(-1);
    if (attempt?.held) this.#best = attempt;
  }

  #turnTo(live: LiveBackend): void {
    this.#asked.add(live);
    const own = this.#escalation.steps.findIndex(({ to }) => to === live);
    this.#position = Math.max(this.#position, own + 1);
    const threshold = this.#step()?.threshold;
    this.#exchange.judgement = {
      threshold,
      doubts: (confidence) => doubtOf({ gate: undefined, confidence }, threshold, this.#escalation) !== undefined,
      mayLeave: () => this.#pay(),
    };
  }

  /** The next step to somebody who was not asked and can be. */
  #step(): LiveEscalation['steps'][number] | undefined {
    return this.#escalation.steps.find(
      ({ to }, at) => at >= this.#position && !this.#asked.has(to) && serves(to.backend, this.#exchange.operation),
    );
  }

  #fallback(): LiveBackend | undefined {
    return this.#exchange.candidates.find((live) => !this.#asked.has(live));
  }

  /** Whether the budget lets the next step be taken, which is paid for then. */
  #pay(): boolean {
    this.#isPaid ||= this.#budget?.take() ?? true;
    if (!this.#isPaid) this.#exchange.notEscalated = 'BudgetExhausted';
    return this.#isPaid;
  }
}

/** Why an answer is not trusted; undefined where it is. `threshold`: of the next step, if it has one. */
export function doubtOf(
  { gate, confidence }: Score,
  threshold: number | undefined,
  { when, unknownConfidence }: Pick<LiveEscalation, 'when' | 'unknownConfidence'>,
): EscalationReason | undefined {
  if (gate && when.has('InvalidOutput')) return 'InvalidOutput';
  if (threshold === undefined || !when.has('LowConfidence')) return undefined;
  const isLow = typeof confidence === 'number' ? confidence < threshold : unknownConfidence === 'Escalate';
  return isLow ? 'LowConfidence' : undefined;
}

/** By which of the policy's reasons a failure is escalated; undefined: by none. */
export function reasonOf(
  failure: Failure | undefined,
  { when }: Pick<LiveEscalation, 'when'>,
): EscalationReason | undefined {
  const reason = (failure && kinds[failure.reason]) ?? 'Error';
  return when.has(reason) ? reason : undefined;
}

/** The failures that have a reason of their own. */
const kinds: Partial<Record<FailureReason, EscalationReason>> = {
  Timeout: 'Timeout',
  LowConfidence: 'LowConfidence',
  InvalidOutput: 'InvalidOutput',
  Overloaded: 'Overloaded',
  RateLimited: 'Overloaded',
  NoEndpoint: 'Overloaded',
  QueueFull: 'Overloaded',
  QueueTimeout: 'Overloaded',
};

/** Of two answers the one that passes the gates, then the later one, whose backend is the dearer one. */
function better(before: Attempt | undefined, now: Attempt): Attempt {
  const isWorse = before?.held && !before.held.score.gate && now.held?.score.gate;
  return before && isWorse ? before : now;
}
