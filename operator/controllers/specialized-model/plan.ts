import type { SpecializedModel } from '../../../crds/v1alpha1/kinds.ts';
import type { OperatorConfig } from '../../config.ts';
import { refusedArgs } from '../../engines/refused-flags.ts';
import { engines } from '../../engines/registry.ts';
import { type ModelObjects, modelObjects } from '../../resources/model-objects.ts';
import type { Found } from '../../resources/pod-template.ts';
import { credentialsProblem } from './credentials.ts';
import { LruCache } from './lru-cache.ts';
import type { SeenModel } from './observe.ts';
import { promptTemplateProblem } from './prompt-template.ts';
import { type Problem, worst } from './reasons.ts';

/** What is to be done about a model. */
export type Plan =
  /** A Secret has not been read yet: nothing can be said. */
  | { state: 'Waiting' }
  /** The spec is refused: what runs is left as it is, so that the last good one keeps serving. */
  | { state: 'Refused'; problem: Problem }
  | {
      state: 'Accepted';
      objects: ModelObjects;
      /** Children of an earlier model of this name, which stand in the way until they are gone. */
      leftovers: (keyof ModelObjects)[];
    };

/** Decides, from what was seen and the configuration alone. */
export function planModel(seen: SeenModel, config: OperatorConfig): Plan {
  const { model, problems } = seen;
  if (problems.length > 0) return refused('InvalidSpec', problems.join('; '));
  const { spec } = model;
  const args = refusedArgs(engines[spec.engine.type].rules, spec.engine, spec.model);
  if (args.length > 0) return refused('InvalidArgs', args.join('; '));
  const profile =
    spec.gpu &&
    (Object.hasOwn(config.gpuProfiles, spec.gpu.profile) ? config.gpuProfiles[spec.gpu.profile] : undefined);
  if (spec.gpu && !profile) return refused('UnknownGpuProfile', unknownProfile(spec.gpu.profile, config));
  const found = namedProblem(seen);
  if (found === 'Waiting') return { state: 'Waiting' };
  if (found) return { state: 'Refused', problem: found };
  const { promptTemplate } = seen;
  const template = promptTemplate?.state === 'Present' ? promptTemplate.template : undefined;
  return {
    state: 'Accepted',
    objects: objectsOf(model, config, { profile, promptTemplate: template }),
    leftovers: leftovers(seen),
  };
}

/** The worst of what is wrong with the Secrets and the ConfigMap that a model names. */
function namedProblem({ model, credentials, adapterCredentials, promptTemplate }: SeenModel) {
  const { model: source } = model.spec;
  const found = [
    source.credentials && credentials && credentialsProblem('model', source.uri, source.credentials, credentials),
    source.adapter?.credentials &&
      adapterCredentials &&
      credentialsProblem('model.adapter', source.adapter.uri, source.adapter.credentials, adapterCredentials),
    source.promptTemplate && promptTemplate && promptTemplateProblem(source.promptTemplate.configMap, promptTemplate),
  ].filter((problem) => problem !== undefined);
  return worst(found.filter((problem) => problem !== 'Waiting')) ?? found[0];
}

/** A few kilobytes each: those that change just now, not the fleet. */
const mostModels = 256;
const objectsMade = new WeakMap<OperatorConfig, LruCache<ModelObjects>>();

/** A model's spec is another object when anything in it changed; equal specs of two models may be one. */
function objectsOf(model: SpecializedModel, config: OperatorConfig, found: Found): ModelObjects {
  const cache = objectsMade.get(config) ?? new LruCache(mostModels);
  objectsMade.set(config, cache);
  const { uid } = model.metadata;
  const name = found.promptTemplate ? `${uid} ${found.promptTemplate.digest}` : uid;
  return cache.get(name, model.spec, () => modelObjects(model, config, found));
}

function refused(reason: Problem['reason'], message: string): Plan {
  return { state: 'Refused', problem: { reason, message } };
}

function unknownProfile(profile: string, { gpuProfiles }: OperatorConfig): string {
  const known = Object.keys(gpuProfiles).sort();
  const choice = known.length > 0 ? `it must be one of ${known.join(', ')}` : 'there are none';
  return `spec.gpu.profile ${profile} is not in the operator's configuration: ${choice}`;
}

/** A model that was deleted and made again at once meets its predecessor's children before garbage collection does. */
function leftovers({ model, children }: SeenModel): (keyof ModelObjects)[] {
  return (Object.keys(children) as (keyof ModelObjects)[]).filter((kind) => {
    const owner = children[kind]?.metadata.ownerReferences?.find(({ controller }) => controller);
    return owner?.kind === 'SpecializedModel' && owner.name === model.metadata.name && owner.uid !== model.metadata.uid;
  });
}
