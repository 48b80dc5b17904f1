import type { EscalationReason } from '../../../crds/v1alpha1/escalation.ts';
import { ApiError } from '../errors.ts';
import { serves } from '../operations.ts';
import type { Failure, FailureReason } from '../providers/failure.ts';
import type { LiveBackend, LiveEscalation } from '../routes/table.ts';
import { type Attempt, type Exchange, type RouterContext, set } from './exchange.ts';
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
    const best = await climb(escalation, exchange, context, answeredBy);
    if (exchange.gone) return;
    if (!best?.held)
      throw exchange.attempts.at(-1)?.failure?.error ?? new ApiError(503, 'no_backend', 'no backend can be asked');
    const failure = best.held.deliver();
    if (failure) throw failure.error;
  } finally {
    clearInterval(waiting);
  }
}

/** The attempt whose answer is to be given; undefined: nobody answered, or the client has left. */
async function climb(
  escalation: LiveEscalation,
  exchange: Exchange,
  context: RouterContext,
  answeredBy: AnsweredBy,
): Promise<Attempt | undefined> {
  const { route } = set(exchange.route, 'route');
  const budget = escalation.maxRate === undefined ? undefined : context.budgets.of(route.policy.uid);
  budget?.pay(escalation.maxRate ?? 0);
  const asked = new Set<LiveBackend>();
  const nextStep = () => escalation.steps.find(({ to }) => !asked.has(to) && serves(to.backend, exchange.operation));
  const fallback = () => exchange.candidates.find((live) => !asked.has(live));
  let best: Attempt | undefined;
  for (let live = fallback(); live; ) {
    asked.add(live);
    exchange.judgement = { threshold: nextStep()?.threshold };
    try {
      await answeredBy(live, exchange, context);
    } catch (error) {
      // The request itself is at fault, or its time is over.
      if (!best || !(error instanceof ApiError)) throw error;
      exchange.notEscalated = 'NextFailed';
      return best;
    }
    if (exchange.gone) return undefined;
    const attempt = exchange.attempts.at(-1) as Attempt;
    if (attempt.held) best = better(best, attempt);
    const reason = attempt.held
      ? doubtOf(attempt.held.score, exchange.judgement.threshold, escalation)
      : reasonOf(attempt.failure, escalation);
    const step = reason && nextStep();
    if (step && (budget?.take() ?? true)) {
      exchange.escalations = [...exchange.escalations, { from: live.name, to: step.to.name, reason }];
      live = step.to;
      continue;
    }
    if (step) exchange.notEscalated = 'BudgetExhausted';
    else if (best && !attempt.held) exchange.notEscalated = 'NextFailed';
    if (best) return best;
    live = fallback();
  }
  return best;
}

/** Why an answer is not trusted; undefined where it is. `threshold`: of the next step, if it has one. */
export function doubtOf(
  { gate, confidence }: Score,
  threshold: number | undefined,
  { when, unknownConfidence }: Pick<LiveEscalation, 'when' | 'unknownConfidence'>,
): EscalationReason | undefined {
  if (gate && when.has('InvalidOutput')) return 'InvalidOutput';
  if (threshold === undefined || !when.has('LowConfidence')) return undefined;
  const isLow = confidence === 'Unknown' ? unknownConfidence === 'Escalate' : confidence < threshold;
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
  InvalidOutput: 'InvalidOutput',
  Overloaded: 'Overloaded',
  RateLimited: 'Overloaded',
  NoEndpoint: 'Overloaded',
};

/** Of two answers the one that passes the gates, then the later one, whose backend is the dearer one. */
function better(before: Attempt | undefined, now: Attempt): Attempt {
  const isWorse = before?.held && !before.held.score.gate && now.held?.score.gate;
  return before && isWorse ? before : now;
}
