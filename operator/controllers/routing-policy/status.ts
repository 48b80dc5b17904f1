import { pausedAnnotation } from '../../../crds/names.ts';
import type { RoutingPolicy } from '../../../crds/v1alpha1/kinds.ts';
import type { RoutingPolicyStatus } from '../../../crds/v1alpha1/routing-policy.ts';
import { nextConditions, type Verdict } from '../../conditions.ts';
import type { Compilation } from './compile.ts';
import { shortNameOf } from './names.ts';
import { byGravity, type NormalReason, type PolicyReason, type Problem, policyReasons } from './reasons.ts';

/** Only reasons that are documented. */
type PolicyVerdict = Verdict & { reason: PolicyReason | NormalReason };

/** Whether the policy is to be left as it is. */
export function isPaused(policy: RoutingPolicy): boolean {
  return policy.metadata.annotations?.[pausedAnnotation] === 'true';
}

/**
 * The status that tells what became of a policy, or undefined while that is not known yet.
 *
 * @param now milliseconds since the epoch
 */
export function policyStatus(
  policy: RoutingPolicy,
  compilation: Compilation,
  now: number,
): RoutingPolicyStatus | undefined {
  const { outcome, problems } = compilation;
  if (outcome === 'Waiting' && problems.length === 0) return undefined;
  return {
    observedGeneration: policy.metadata.generation,
    model: shortNameOf(policy),
    ...(outcome === 'Compiled' ? { weights: compilation.route.split } : keptWeights(policy)),
    conditions: nextConditions(policy.status?.conditions, verdicts(problems), policy.metadata.generation, now),
  };
}

/** The status of a paused policy: what it said last, and that no more is looked at. */
export function pausedStatus({ metadata, status }: RoutingPolicy, now: number): RoutingPolicyStatus {
  const message = `annotation ${pausedAnnotation} is set; the route stays as it is until the annotation is gone`;
  const paused: PolicyVerdict = { type: 'Paused', status: 'True', reason: 'Paused', message };
  const known = (status?.conditions ?? []).filter(({ type }) => type === 'Accepted' || type === 'Ready');
  const first: PolicyVerdict[] = known.some(({ type }) => type === 'Ready')
    ? []
    : [{ type: 'Ready', status: 'Unknown', reason: 'Paused', message }];
  const fresh = nextConditions(status?.conditions, [...first, paused], metadata.generation, now);
  return { ...status, conditions: [...known, ...fresh] };
}

function keptWeights({ status }: RoutingPolicy): Pick<RoutingPolicyStatus, 'weights'> {
  return status?.weights ? { weights: status.weights } : {};
}

/** Long lists of like problems are cut: a condition is read by people. */
const maxMessages = 10;

function verdicts(problems: readonly Problem[]): PolicyVerdict[] {
  const [worst, ...others] = byGravity(problems);
  if (!worst) {
    return [
      { type: 'Accepted', status: 'True', reason: 'Accepted', message: 'the policy is compiled' },
      { type: 'Ready', status: 'True', reason: 'Ready', message: 'every backend that the policy names is ready' },
    ];
  }
  const messages = [worst, ...others].map(({ message }) => message);
  const more = messages.length > maxMessages ? [`and ${messages.length - maxMessages} more`] : [];
  const { reason } = worst;
  const message = [...messages.slice(0, maxMessages), ...more].join('; ');
  const { refused, stalled } = policyReasons[reason];
  const accepted: PolicyVerdict = refused
    ? { type: 'Accepted', status: 'False', reason, message: worst.message }
    : { type: 'Accepted', status: 'True', reason: 'Accepted', message: 'the policy is compiled' };
  return [
    accepted,
    { type: 'Ready', status: 'False', reason, message },
    { type: stalled ? 'Stalled' : 'Reconciling', status: 'True', reason, message: worst.message },
  ];
}
