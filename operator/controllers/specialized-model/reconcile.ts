import { isDeepStrictEqual } from 'node:util';
import { isKubeError } from '../../../kube/errors.ts';
import type { Cluster, KubeObject, ObjectKey, Resource } from '../../../kube/types.ts';
import type { Clock } from '../../../process/clock.ts';
import type { Logger } from '../../../process/logger.ts';
import type { OperatorConfig } from '../../config.ts';
import type { Caches, Requeue, SecretReader } from '../../context.ts';
import { customResources } from '../../custom-resources.ts';
import { applyObjects, deleteChild } from './children.ts';
import { eventOf, type ModelEvent } from './events.ts';
import { observe, type SeenModel } from './observe.ts';
import { holdMs } from './pace.ts';
import { planModel } from './plan.ts';
import type { Problem, ProblemReason } from './reasons.ts';
import { type DecidedPlan, reportOf } from './status.ts';

/** What the reconciler needs of the applier, see `kube/applier.ts`. */
export interface ModelApplier {
  /** Rejects with an error whose `code` is `ChildNameTaken` for an object that exists and is not this model's. */
  apply<T extends KubeObject>(resource: Resource, desired: T, live: T | undefined): Promise<'Unchanged' | 'Applied'>;
  applyStatus(resource: Resource, live: KubeObject, status: object): Promise<'Unchanged' | 'Applied'>;
}

/** What the reconciler needs of the recorder, see `kube/events.ts`. */
export interface ModelEvents {
  record(regarding: KubeObject, event: ModelEvent): void;
}

/** What a reconcile of a model works with. */
export interface ModelContext {
  caches: Caches;
  secrets: SecretReader;
  applier: ModelApplier;
  cluster: Pick<Cluster, 'get' | 'delete'>;
  events: ModelEvents;
  config: OperatorConfig;
  clock: Clock;
  log: Logger;
}

/** After these, in milliseconds, objects that nobody watches for us are looked at again. */
const retryMs: Partial<Record<ProblemReason, number>> = { ChildNameTaken: 30_000, ChildRefused: 60_000 };

/**
 * Makes the world as a model says, and its status as the world is. From any state, any number of times; it does not write
 * where nothing changed. Rejects for what may succeed later, so that the queue tries again with back-off.
 */
export async function reconcileModel(key: ObjectKey, context: ModelContext): Promise<Requeue> {
  const seen = observe(key, context.caches, context.secrets);
  if (!seen) return 'never';
  const plan = planModel(seen, context.config);
  if (plan.state === 'Waiting') return 'never';
  if (await prune(seen, plan, context)) return 'never';
  const refusal = await applyObjects(seen, plan, context);
  return tell(seen, plan, refusal, context);
}

/** Deletes what stands in the way. True when there was something: its going brings the model back. */
async function prune(seen: SeenModel, plan: DecidedPlan, { cluster, log }: ModelContext): Promise<boolean> {
  if (plan.state !== 'Accepted' || seen.paused) return false;
  for (const kind of plan.leftovers) {
    const child = seen.children[kind];
    log.info({ kind, name: seen.model.metadata.name }, 'deleting a child of an earlier model of this name');
    if (child) await deleteChild(kind, child, cluster);
  }
  return plan.leftovers.length > 0;
}

/** Writes the status where it changed, and the event of the change. */
async function tell(
  seen: SeenModel,
  plan: DecidedPlan,
  refusal: Problem | undefined,
  { applier, clock, config, events }: ModelContext,
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
  const event = eventOf(model.status, report.status);
  if (event) events.record(model, event);
  return requeue;
}
