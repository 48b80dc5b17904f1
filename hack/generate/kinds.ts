import type { z } from 'zod';
import { group, version } from '../../crds/names.ts';
import { routingPolicy } from '../../crds/v1alpha1/routing-policy.ts';
import { specializedModel } from '../../crds/v1alpha1/specialized-model.ts';

/** A column of `kubectl get`. */
export interface PrinterColumn {
  name: string;
  type: 'string' | 'integer' | 'date';
  jsonPath: string;
  description: string;
  /** 1: with `-o wide` only. */
  priority?: 1;
}

/** What of a kind is not in its schema. */
export interface KindDefinition {
  kind: string;
  plural: string;
  shortName: string;
  type: z.ZodType;
  /** Two or three sentences, for `kubectl explain` and the reference. */
  description: string;
  /** Manifests for the reference, relative to the repository. */
  samples: readonly string[];
  columns: PrinterColumn[];
  scale?: { specReplicasPath: string; statusReplicasPath: string; labelSelectorPath: string };
}

const ready = (field: string): string => `.status.conditions[?(@.type=="Ready")].${field}`;

const readyColumn: PrinterColumn = {
  name: 'Ready',
  type: 'string',
  jsonPath: ready('status'),
  description: 'Whether it serves what the spec asks for.',
};
const reasonColumn: PrinterColumn = {
  name: 'Reason',
  type: 'string',
  jsonPath: ready('reason'),
  description: 'Why it is ready or not.',
  priority: 1,
};
const ageColumn: PrinterColumn = {
  name: 'Age',
  type: 'date',
  jsonPath: '.metadata.creationTimestamp',
  description: 'Time since it was created.',
};

export const apiVersion = `${group}/${version}`;

export const kinds: readonly KindDefinition[] = [
  {
    kind: 'SpecializedModel',
    plural: 'specializedmodels',
    shortName: 'smodel',
    type: specializedModel,
    description:
      'SpecializedModel is one model that was trained for one task, served: where its weights are, which engine runs it, on what, and in how many replicas.',
    samples: [
      'docs/reference/samples/specialized-model.yaml',
      'docs/reference/samples/specialized-model-gpu.yaml',
      'docs/reference/samples/specialized-model-adapter.yaml',
    ],
    columns: [
      readyColumn,
      { name: 'Replicas', type: 'integer', jsonPath: '.spec.replicas', description: 'Replicas that are wanted.' },
      {
        name: 'Available',
        type: 'integer',
        jsonPath: '.status.readyReplicas',
        description: 'Replicas that are ready.',
      },
      { name: 'Engine', type: 'string', jsonPath: '.spec.engine.type', description: 'The server that runs the model.' },
      { name: 'GPU', type: 'string', jsonPath: '.spec.gpu.profile', description: 'GPU profile; none: CPU only.' },
      ageColumn,
      reasonColumn,
      {
        name: 'Model',
        type: 'string',
        jsonPath: '.spec.model.uri',
        description: 'Where the weights are.',
        priority: 1,
      },
    ],
    scale: {
      specReplicasPath: '.spec.replicas',
      statusReplicasPath: '.status.replicas',
      labelSelectorPath: '.status.selector',
    },
  },
  {
    kind: 'RoutingPolicy',
    plural: 'routingpolicies',
    shortName: 'rpol',
    type: routingPolicy,
    description:
      'RoutingPolicy is one model name that applications call, and how its requests are divided between specialized models and external providers.',
    samples: ['docs/reference/samples/routing-policy.yaml'],
    columns: [
      readyColumn,
      { name: 'Model', type: 'string', jsonPath: '.status.model', description: 'The model name that clients send.' },
      ageColumn,
      reasonColumn,
      {
        name: 'Weights',
        type: 'string',
        jsonPath: '.status.weights',
        description: 'How traffic is divided now.',
        priority: 1,
      },
    ],
  },
];
