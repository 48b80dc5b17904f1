import type { Route } from '../../../crds/route-table.ts';
import type { RoutingPolicy } from '../../../crds/v1alpha1/kinds.ts';

type Spec = RoutingPolicy['spec'];

/** Escalation as the router reads it: thresholds as numbers, and what `streaming: Auto` means here. */
export function compileEscalation({ escalation, output }: Spec): Pick<Route, 'escalation'> {
  if (!escalation) return {};
  const { steps, when, unknownConfidence, budget, streaming } = escalation;
  const isJudgedWhole = output?.labels !== undefined || output?.jsonSchema !== undefined;
  const isScored = steps.some(({ confidence }) => confidence !== undefined);
  const auto = isJudgedWhole ? 'Buffer' : isScored ? 'Prefix' : 'PassThrough';
  return {
    escalation: {
      steps: steps.map(({ to, confidence }) => (confidence ? { to, threshold: Number(confidence.threshold) } : { to })),
      when,
      unknownConfidence,
      ...(budget && { maxRate: Number(budget.maxRate) }),
      streaming: streaming === 'Auto' ? auto : streaming,
    },
  };
}
