import type { SpecializedModel } from '../../crds/v1alpha1/kinds.ts';
import type { OperatorConfig } from '../config.ts';
import type { Deployment } from '../context.ts';
import { childMetadata, modelSelector } from './child.ts';
import { type Found, podTemplate } from './pod-template.ts';

/** Weights of hundreds of gigabytes may take this long, in seconds, before a rollout counts as stuck. */
const progressDeadlineSeconds = 3600;

/** The replicas of a model. */
export function deployment(model: SpecializedModel, config: OperatorConfig, found: Found): Deployment {
  const { metadata, spec } = model;
  const { maxSurge = 1, maxUnavailable = 0 } = spec.updateStrategy ?? {};
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: childMetadata(model),
    spec: {
      replicas: spec.replicas,
      revisionHistoryLimit: 2,
      progressDeadlineSeconds,
      strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge, maxUnavailable } },
      selector: { matchLabels: modelSelector(metadata.name) },
      template: podTemplate(model, config, found),
    },
  };
}
