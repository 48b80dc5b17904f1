import { z } from 'zod';
import { engineContainer, loaderContainer, promptTemplateAnnotation } from '../../../crds/names.ts';
import type { SpecializedModelStatus } from '../../../crds/v1alpha1/specialized-model.ts';
import type { Pod } from '../../context.ts';
import type { Fleet } from './fleet.ts';
import { conditionOf, isReady, parseJson } from './pod-problems.ts';

/** What the loader says when it is done. */
const digestText = z.string().max(128).optional();
const loaderReport = z.object({ digest: digestText, adapterDigest: digestText, bytes: z.int().min(0) });

/**
 * What a ready pod tells about what it runs. How long an engine took to load is kept until the model changes: later on, a
 * pod's conditions tell when it was ready last, not when it was first.
 */
export function weightsStatus(
  { current }: Fleet,
  before: SpecializedModelStatus | undefined,
  generation: number,
): SpecializedModelStatus['model'] {
  const pod = current.find(isReady);
  if (!pod) return before?.model;
  const loaded = loaderReport.safeParse(parseJson(loaderMessage(pod) ?? ''));
  const { digest, adapterDigest, bytes }: Partial<z.infer<typeof loaderReport>> = loaded.success ? loaded.data : {};
  const promptTemplateDigest = pod.metadata.annotations?.[promptTemplateAnnotation];
  const isSame =
    before?.observedGeneration === generation &&
    before.model?.digest === digest &&
    before.model?.promptTemplateDigest === promptTemplateDigest;
  const loadSeconds = (isSame ? before.model?.loadSeconds : undefined) ?? secondsToReady(pod);
  const model = {
    ...(digest !== undefined && { digest }),
    ...(adapterDigest !== undefined && { adapterDigest }),
    ...(promptTemplateDigest !== undefined && { promptTemplateDigest }),
    ...(bytes !== undefined && { bytes }),
    ...(loadSeconds !== undefined && { loadSeconds }),
  };
  return Object.keys(model).length > 0 ? model : undefined;
}

function loaderMessage({ status }: Pod): string | undefined {
  return status?.initContainerStatuses?.find(({ name }) => name === loaderContainer)?.state?.terminated?.message;
}

/** From the start of the engine's container until the pod was ready. */
function secondsToReady(pod: Pod): number | undefined {
  const engine = pod.status?.containerStatuses?.find(({ name }) => name === engineContainer);
  const started = Date.parse(engine?.state?.running?.startedAt ?? '');
  const ready = Date.parse(conditionOf(pod, 'Ready')?.lastTransitionTime ?? '');
  const seconds = Math.round((ready - started) / 1000);
  return Number.isFinite(seconds) && seconds >= 0 ? seconds : undefined;
}
