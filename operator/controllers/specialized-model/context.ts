import type { SpecializedModelStatus } from '../../../crds/v1alpha1/specialized-model.ts';
import type { Applier } from '../../../kube/applier.ts';
import type { EventRecorder } from '../../../kube/events.ts';
import type { Cluster } from '../../../kube/types.ts';
import type { Clock } from '../../../process/clock.ts';
import type { Logger } from '../../../process/logger.ts';
import type { OperatorConfig } from '../../config.ts';
import type { Caches, SecretReader, TemplateReader } from '../../context.ts';
import type { ToldStatuses } from '../../told-statuses.ts';

/** What a reconcile of a model works with. */
export interface ModelContext {
  caches: Caches;
  secrets: SecretReader;
  templates: TemplateReader;
  applier: Pick<Applier, 'apply' | 'applyStatus' | 'prune'>;
  cluster: Pick<Cluster, 'get'>;
  events: Pick<EventRecorder, 'record'>;
  config: OperatorConfig;
  clock: Clock;
  log: Logger;
  /** One for all models. */
  told: ToldStatuses<SpecializedModelStatus>;
}
