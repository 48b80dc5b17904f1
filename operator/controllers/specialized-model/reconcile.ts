import { isDeepStrictEqual } from 'node:util';
import { isKubeError } from '../../../kube/errors.ts';
import { resources } from '../../../kube/resources.ts';
import type { ObjectKey, Requeue } from '../../../kube/types.ts';
import { customResources } from '../../custom-resources.ts';
import { applyObjects } from './children.ts';
import type { ModelContext } from './context.ts';
import { eventOf } from './events.ts';
import { observe, type SeenModel } from './observe.ts';
import { holdMs } from './pace.ts';
import { planModel } from './plan.ts';
import type { Problem, ProblemReason } from './reasons.ts';
import { type DecidedPlan, reportOf } from './status.ts';

/** After these, in milliseconds, objects that nobody watches for us are looked at again. */
const retryMs: Partial<Record<ProblemReason, number>> = { ChildNameTaken: 30_000, ChildRefused: 60_000 };

/**
 * Makes the world as a model says, and its status as the world is. From any state, any number of times; it does not write
 * where nothing changed. Rejects for what may succeed later, so that the queue tries again with back-off.
 */
export async function reconcileModel(key: ObjectKey, context: ModelContext): Promise<Requeue> {
  const seen = observe(key, context);
  if (!seen) return 'never';
  const plan = planModel(seen, context.config);
  if (plan.state === 'Waiting') return 'never';
  if (await prune(seen, plan, context)) return 'never';
  const refusal = await applyObjects(seen, plan, context);
  return tell(seen, plan, refusal, context);
}

/** Deletes what stands in the way. True when there was something: its going brings the model back. */
async function prune(seen: SeenModel, plan: DecidedPlan, { applier, log }: ModelContext): Promise<boolean> {
  if (plan.state !== 'Accepted' || seen.paused || plan.leftovers.length === 0) return false;
  log.info({ key: seen.key, kinds: plan.leftovers }, 'deleting children of an earlier model of this name');
  await Promise.all(
    plan.leftovers.map((kind) =>
      applier.prune(
        resources[kind],
        [seen.children[kind]].filter((child) => child !== undefined),
      ),
    ),
  );
  return true;
}

/** Writes the status where it changed, and the event of the change. */
async function tell(
  seen: SeenModel,
  plan: DecidedPlan,
  refusal: Problem | undefined,
  { applier, clock, config, events, told }: ModelContext,
): Promise<Requeue> {
  const { model } = seen;
  const now = clock.now();
  const report = reportOf(seen, plan, refusal, config, now);
  const afterMs = refusal && retryMs[refusal.reason];
  const requeue: Requeue = afterMs === undefined ? 'never' : { afterMs };
  if (isDeepStrictEqual(model.status, report.status)) return requeue;
  const held = holdMs(model, report, now);
  if (held !== undefined) return { afterMs: held };
  try {
    await applier.applyStatus(customResources.models, model, report.status);
  } catch (error) {
    // Deleted meanwhile: there is nobody to tell.
    if (isKubeError(error, 'NotFound')) return 'never';
    throw error;
  }
  told.remember(seen.key, model, report.status);
  const event = eventOf(model.status, report.status);
  if (event) events.record(model, event);
  return requeue;
}
