import { ChildNameTaken } from '../../../kube/applier.ts';
import { isKubeError } from '../../../kube/errors.ts';
import { resources } from '../../../kube/resources.ts';
import type { Cluster, KubeObject } from '../../../kube/types.ts';
import { errorMessage } from '../../../process/errors.ts';
import type { ModelObjects } from '../../resources/model-objects.ts';
import type { ModelContext } from './context.ts';
import { steady } from './last-words.ts';
import type { SeenModel } from './observe.ts';
import type { Problem } from './reasons.ts';
import type { DecidedPlan } from './status.ts';

type Kind = keyof ModelObjects;

/**
 * Applies a model's objects, the Deployment last: its pods need the others. Gives back why not where only a person can
 * help; rejects where another try may.
 */
export async function applyObjects(
  seen: SeenModel,
  plan: DecidedPlan,
  context: ModelContext,
): Promise<Problem | undefined> {
  if (plan.state !== 'Accepted' || seen.paused) return undefined;
  const { objects } = plan;
  const kinds = Object.keys(objects) as Kind[];
  if (wasTaken(seen)) {
    const taken = await Promise.all(kinds.map((kind) => stillTaken(kind, seen, context.cluster)));
    const problem = taken.find((found) => found !== undefined);
    if (problem) return problem;
  }
  const applyOne = (kind: Kind) =>
    context.applier.apply(resources[kind], objects[kind], seen.children[kind]).then(
      () => undefined,
      (error: unknown) => problemOf(kind, seen, error),
    );
  const before = await Promise.all(kinds.filter((kind) => kind !== 'deployments').map(applyOne));
  const problem = before.find((found) => found !== undefined) ?? (await applyOne('deployments'));
  if (problem?.reason === 'ChildNameTaken' && Object.keys(seen.children).length === 0) {
    await Promise.all(kinds.map((kind) => takeBack(kind, seen, context)));
  }
  return problem;
}

/** Why the API server does not take an object; throws what may go by itself. */
function problemOf(kind: Kind, seen: SeenModel, error: unknown): Problem {
  if (error instanceof ChildNameTaken) return takenProblem(kind, seen);
  const isOver = isKubeError(error) && error.message.includes('being terminated');
  if (!isKubeError(error, 'Invalid', 'Forbidden', 'BadRequest', 'RequestEntityTooLarge') || isOver) throw error;
  const reason = error.message.includes('exceeded quota') ? 'QuotaExceeded' : 'ChildRefused';
  return { reason, message: steady(errorMessage(error)) };
}

function takenProblem(kind: Kind, { model }: SeenModel): Problem {
  const what = `${resources[kind].kind} ${model.metadata.name}`;
  return {
    reason: 'ChildNameTaken',
    message: `${what} exists and is not of this model, so it is left as it is: rename the model, or delete it`,
  };
}

function wasTaken({ model }: SeenModel): boolean {
  return model.status?.conditions?.some(({ reason }) => reason === 'ChildNameTaken') ?? false;
}

/** Looks before anything is made: objects of others are not in the caches. */
async function stillTaken(kind: Kind, seen: SeenModel, cluster: Pick<Cluster, 'get'>): Promise<Problem | undefined> {
  if (seen.children[kind]) return undefined;
  const found = await getChild(kind, seen, cluster);
  return found && !isOurs(found, seen) ? takenProblem(kind, seen) : undefined;
}

/** A model that can't be made whole is not made by half. */
async function takeBack(kind: Kind, seen: SeenModel, { applier, cluster }: ModelContext): Promise<void> {
  const found = await getChild(kind, seen, cluster);
  if (found && isOurs(found, seen)) await applier.prune(resources[kind], [found]);
}

async function getChild(
  kind: Kind,
  { model }: SeenModel,
  cluster: Pick<Cluster, 'get'>,
): Promise<KubeObject | undefined> {
  try {
    return await cluster.get(resources[kind], model.metadata.name, model.metadata.namespace);
  } catch (error) {
    if (isKubeError(error, 'NotFound')) return undefined;
    throw error;
  }
}

function isOurs({ metadata }: KubeObject, { model }: SeenModel): boolean {
  return metadata.ownerReferences?.some(({ controller, uid }) => controller && uid === model.metadata.uid) ?? false;
}
