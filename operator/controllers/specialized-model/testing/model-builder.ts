import { pausedAnnotation } from '../../../../crds/names.ts';
import type { SpecializedModel } from '../../../../crds/v1alpha1/kinds.ts';
import type { EngineType, SpecializedModelSpec } from '../../../../crds/v1alpha1/specialized-model.ts';

/** A model of namespace `support`: one replica of llama-server on a CPU, weights in a claim. */
export function aModel(name = 'ticket-triage'): ModelBuilder {
  return new ModelBuilder({
    apiVersion: 'cadre.dev/v1alpha1',
    kind: 'SpecializedModel',
    metadata: {
      name,
      namespace: 'support',
      uid: `uid-of-${name}`,
      generation: 1,
      resourceVersion: '1',
      creationTimestamp: '2026-01-01T00:00:00Z',
    },
    spec: {
      task: 'Classification',
      model: { uri: 'pvc://models/ticket-triage.gguf' },
      engine: { type: 'LlamaCpp' },
      replicas: 1,
    },
  });
}

/** Says what is special about a model; each step gives a new builder. */
export class ModelBuilder {
  readonly #model: SpecializedModel;

  constructor(model: SpecializedModel) {
    this.#model = model;
  }

  build(): SpecializedModel {
    return structuredClone(this.#model);
  }

  withSpec(spec: Partial<SpecializedModelSpec>): ModelBuilder {
    return this.#but({ spec: { ...this.#model.spec, ...spec } });
  }

  withEngine(type: EngineType, engine: Partial<SpecializedModelSpec['engine']> = {}): ModelBuilder {
    return this.withSpec({ engine: { type, ...engine } });
  }

  withWeights(uri: string, model: Partial<SpecializedModelSpec['model']> = {}): ModelBuilder {
    return this.withSpec({ model: { uri, ...model } });
  }

  withGpu(profile: string, count = 1): ModelBuilder {
    return this.withSpec({ gpu: { profile, count } });
  }

  withReplicas(replicas: number): ModelBuilder {
    return this.withSpec({ replicas });
  }

  withMetadata(metadata: Partial<SpecializedModel['metadata']>): ModelBuilder {
    return this.#but({ metadata: { ...this.#model.metadata, ...metadata } });
  }

  withStatus(status: SpecializedModel['status']): ModelBuilder {
    return this.#but(status ? { status } : {});
  }

  paused(): ModelBuilder {
    return this.withMetadata({ annotations: { [pausedAnnotation]: 'true' } });
  }

  #but(over: Partial<SpecializedModel>): ModelBuilder {
    return new ModelBuilder({ ...this.#model, ...over });
  }
}
