import { modelLabel, revisionAnnotation } from '../../../crds/names.ts';
import type { SpecializedModelStatus } from '../../../crds/v1alpha1/specialized-model.ts';
import { nextConditions, type Verdict } from '../../conditions.ts';
import type { OperatorConfig } from '../../config.ts';
import { serviceUrl } from '../../resources/service.ts';
import { type Fleet, fleetOf } from './fleet.ts';
import type { SeenModel } from './observe.ts';
import type { Plan } from './plan.ts';
import { isStuck, worldProblem } from './problems.ts';
import { type NormalReason, type Problem, type ProblemReason, problemReasons } from './reasons.ts';
import { weightsStatus } from './weights-status.ts';

/** A status, and what it was made from. */
export interface Report {
  status: SpecializedModelStatus;
  fleet: Fleet;
}

/** A plan that can be acted upon. */
export type DecidedPlan = Exclude<Plan, { state: 'Waiting' }>;

/**
 * What is so with a model, found by looking down to its Deployment, pods and nodes.
 *
 * @param refusal why its objects could not be applied
 * @param now milliseconds since the epoch
 */
export function reportOf(
  seen: SeenModel,
  plan: DecidedPlan,
  refusal: Problem | undefined,
  config: OperatorConfig,
  now: number,
): Report {
  const { name, namespace, generation } = seen.model.metadata;
  const before = seen.model.status;
  const accepted = plan.state === 'Accepted';
  const revision = accepted
    ? plan.objects.deployments.spec?.template.metadata?.annotations?.[revisionAnnotation]
    : undefined;
  const fleet = fleetOf(seen.pods, revision);
  const own = accepted ? refusal : plan.problem;
  const problem = own ?? worldProblem(seen, fleet, config);
  const wanted = wantedOf(seen, plan);
  const verdicts = [
    acceptance(plan),
    readiness(fleet, wanted, problem),
    ...progress(fleet, wanted, problem, isStuck(seen.children.deployments)),
    ...(seen.paused
      ? [{ type: 'Paused', ...saying('True', 'Paused', 'nothing is changed until the annotation is gone') }]
      : []),
  ];
  const model = weightsStatus(fleet, before, generation);
  const status = {
    observedGeneration: generation,
    replicas: fleet.pods.length,
    readyReplicas: fleet.ready.length,
    selector: `${modelLabel}=${name}`,
    endpoint: serviceUrl({ name, namespace }),
    ...(model && { model }),
    conditions: nextConditions(before?.conditions, verdicts, generation, now),
  };
  return { status, fleet };
}

function acceptance(plan: DecidedPlan): Verdict {
  if (plan.state === 'Accepted') return { type: 'Accepted', ...saying('True', 'Accepted', 'the spec is valid') };
  return { type: 'Accepted', ...saying('False', plan.problem.reason, plan.problem.message) };
}

/** One replica that answers is enough: what is missing beside it stands in Reconciling or Stalled. */
function readiness(fleet: Fleet, wanted: Wanted, problem: Problem | undefined): Verdict {
  const type = 'Ready';
  if (wanted.replicas > 0 && fleet.ready.length > 0) {
    return { type, ...saying('True', 'Serving', `${fleet.ready.length} of ${wanted.replicas} replicas are ready`) };
  }
  if (problem) return { type, ...saying('False', problem.reason, problem.message) };
  if (wanted.isPaused && wanted.isUnmade) return { type, ...saying('False', 'Paused', 'nothing has been made yet') };
  if (wanted.replicas === 0) return { type, ...saying('True', 'ScaledToZero', 'no replicas are asked for') };
  return { type, ...saying('False', ...waitingFor(fleet, wanted)) };
}

/** kstatus: Reconciling and Stalled are there only while they are true, and never both. */
function progress(fleet: Fleet, wanted: Wanted, problem: Problem | undefined, stuck: boolean): Verdict[] {
  if (problem) {
    const { stalled, refused } = problemReasons[problem.reason];
    const type = stalled || (stuck && !refused) ? 'Stalled' : 'Reconciling';
    return [{ type, ...saying('True', problem.reason, problem.message) }];
  }
  const type = stuck ? 'Stalled' : 'Reconciling';
  const reconciling = (reason: NormalReason, message: string) => [{ type, ...saying('True', reason, message) }];
  if (wanted.isPaused && (fleet.outdated.length > 0 || wanted.replicas !== wanted.asked)) {
    return reconciling('Paused', 'changes wait until the annotation is gone');
  }
  if (fleet.outdated.length > 0) {
    const updated = fleet.current.filter((pod) => fleet.ready.includes(pod)).length;
    return reconciling('RollingOut', `${updated} of ${wanted.replicas} replicas are up to date and ready`);
  }
  if (fleet.ready.length < wanted.replicas) return reconciling(...waitingFor(fleet, wanted));
  if (fleet.pods.length > wanted.replicas) {
    return reconciling('ScalingDown', `${fleet.pods.length} pods for ${wanted.replicas} replicas`);
  }
  return [];
}

function waitingFor(fleet: Fleet, { replicas }: Wanted): [NormalReason, string] {
  if (fleet.pods.length === fleet.unseen.length) return ['Progressing', 'waiting for pods'];
  return [
    'Loading',
    `${fleet.ready.length} of ${replicas} replicas are ready; the others pull images, load or warm up`,
  ];
}

/** What the pods are measured by. */
interface Wanted {
  /** Replicas that there should be now. While nothing may be changed, those of the Deployment as it is. */
  replicas: number;
  /** What the spec asks for. */
  asked: number;
  isPaused: boolean;
  /** There is no Deployment yet. */
  isUnmade: boolean;
}

function wantedOf({ model, children, paused }: SeenModel, plan: DecidedPlan): Wanted {
  const live = children.deployments?.spec?.replicas;
  const asked = plan.state === 'Accepted' ? model.spec.replicas : (live ?? 0);
  const isUnmade = children.deployments === undefined;
  return { replicas: paused ? (live ?? 0) : asked, asked, isPaused: paused, isUnmade };
}

function saying(
  status: Verdict['status'],
  reason: ProblemReason | NormalReason,
  message: string,
): Omit<Verdict, 'type'> {
  return { status, reason, message };
}
