import { z } from 'zod';
import { compareQuantities } from '../quantity.ts';
import { type Rule, withRules } from '../rules.ts';
import { atomicList, condition, dnsLabel, mapList, nameRule, podsOrPercent, quantity, text } from '../schema.ts';
import { modelSource } from './model-source.ts';
import { sourceForEngine } from './source-for-engine.ts';

export const tasks = ['Classification', 'Extraction', 'Generation', 'Embedding'] as const;
export const engineTypes = ['VLLM', 'LlamaCpp'] as const;

const engine = z
  .object({
    type: z.enum(engineTypes).describe('Which server runs the model.'),
    image: text(
      512,
      '^[a-zA-Z0-9][-a-zA-Z0-9._:/]*(@sha256:[0-9a-f]{64})?$',
      'engine.image must be the reference of an image, such as registry.example.com/vllm:v1 or …@sha256:… with 64 hexadecimal digits',
    )
      .optional()
      .describe("The engine's image; default from the operator's configuration."),
    maxModelLength: z
      .int32()
      .min(16)
      .max(10_000_000)
      .optional()
      .describe('Longest prompt and answer together, in tokens.'),
    maxConcurrency: z.int32().min(1).max(4096).optional().describe('Sequences that one replica works on at once.'),
    args: atomicList(z.string().min(1).max(2048), 64)
      .optional()
      .describe('Appended to the arguments. Flags that the operator owns are refused.'),
    env: mapList(
      z.object({
        name: text(
          253,
          '^[-._a-zA-Z][-._a-zA-Z0-9]*$',
          'must be the name of an environment variable: letters, digits, "_", "-" and ".", not a digit first',
        ).describe('Name of the variable.'),
        value: z.string().max(8192).describe('Its value.'),
      }),
      'name',
      64,
    )
      .optional()
      .describe(
        'Environment of the engine. Names by which the engine would take a flag that the operator owns are refused.',
      ),
  })
  .describe('The server that runs the model.');

const resourceNames = ['cpu', 'memory', 'ephemeral-storage'] as const;
type ResourceName = (typeof resourceNames)[number];
const resourceWords: Record<ResourceName, string> = {
  cpu: 'CPUs, e.g. 2 or 500m.',
  memory: 'Bytes, e.g. 16Gi.',
  'ephemeral-storage': 'Bytes of disk that go with the pod, e.g. 20Gi.',
};

const resourceList = () =>
  z.object({
    cpu: quantity().optional().describe(resourceWords.cpu),
    memory: quantity().optional().describe(resourceWords.memory),
    'ephemeral-storage': quantity().optional().describe(resourceWords['ephemeral-storage']),
  });

interface Resources {
  requests?: { [name in ResourceName]?: string | number | undefined } | undefined;
  limits?: { [name in ResourceName]?: string | number | undefined } | undefined;
}

const requestWithinLimit = (name: ResourceName): Rule<Resources> => {
  const field = name.replace('-', '__dash__');
  const [request, limit] = [`self.requests.${field}`, `self.limits.${field}`];
  return {
    rule: `!has(self.requests) || !has(self.limits) || !has(${request}) || !has(${limit}) || !isQuantity(string(${request})) || !isQuantity(string(${limit})) || quantity(string(${request})).compareTo(quantity(string(${limit}))) <= 0`,
    holds: ({ requests, limits }) =>
      requests?.[name] === undefined ||
      limits?.[name] === undefined ||
      compareQuantities(requests[name], limits[name]) <= 0,
    message: `resources.requests must not be more than resources.limits: ${name}`,
    fieldPath: '.requests',
  };
};

const noPods = new Set<string | number>([0, '0%']);

const specializedModelSpec = withRules(
  z.object({
    task: z.enum(tasks).describe('What the model is for.'),
    model: modelSource,
    engine,
    gpu: z
      .object({
        profile: dnsLabel().describe("A GPU profile of the operator's configuration."),
        count: z.int32().min(1).max(64).default(1).describe('GPUs for one replica.'),
      })
      .optional()
      .describe('GPUs for each replica; absent: CPU only.'),
    resources: withRules(
      z.object({
        requests: resourceList().optional().describe('What the scheduler sets aside.'),
        limits: resourceList().optional().describe('What the engine may not exceed.'),
      }),
      ...resourceNames.map(requestWithinLimit),
    )
      .optional()
      .describe("The engine container's CPU, memory and ephemeral storage."),
    replicas: z
      .int32()
      .min(0)
      .max(10_000)
      .describe('Number of replicas; an HPA or KEDA writes it through /scale. Required.'),
    updateStrategy: withRules(
      z.object({
        maxSurge: podsOrPercent()
          .default(1)
          .describe('Pods above replicas while rolling out: a number or a percentage.'),
        maxUnavailable: podsOrPercent()
          .default(0)
          .describe('Pods of replicas that may be missing while rolling out: a number or a percentage.'),
      }),
      {
        rule: `!((self.maxSurge == 0 || self.maxSurge == '0%') && (self.maxUnavailable == 0 || self.maxUnavailable == '0%'))`,
        holds: ({ maxSurge, maxUnavailable }) => !(noPods.has(maxSurge) && noPods.has(maxUnavailable)),
        message:
          'updateStrategy.maxSurge and updateStrategy.maxUnavailable must not both be 0: nothing could be replaced. Where no GPU is spare: maxSurge 0, maxUnavailable 1',
      },
    )
      .optional()
      .describe('How a change rolls out, as in a Deployment. Where no GPU is spare: maxSurge 0, maxUnavailable 1.'),
  }),
  ...sourceForEngine('model'),
  ...sourceForEngine('model.adapter'),
  {
    rule: `self.task != 'Embedding' || !has(self.model.promptTemplate)`,
    holds: ({ task, model }) => task !== 'Embedding' || model.promptTemplate === undefined,
    message: 'model.promptTemplate turns chats into prompts, and task Embedding has none; remove it',
    fieldPath: '.model.promptTemplate',
  },
);

const specializedModelStatus = z.object({
  observedGeneration: z.int().min(0).optional().describe('The generation of the spec that this status is about.'),
  replicas: z.int32().min(0).optional().describe('Pods that exist.'),
  readyReplicas: z.int32().min(0).optional().describe('Pods that are ready.'),
  selector: z.string().max(512).optional().describe("The pods' label selector, for /scale."),
  endpoint: z.string().max(512).optional().describe('Internal address, for the router.'),
  model: z
    .object({
      digest: z.string().max(128).optional().describe('sha256:… of the one model file, when it is known.'),
      adapterDigest: z
        .string()
        .max(128)
        .optional()
        .describe("sha256:… of the adapter's file: the GGUF, or that of the tensors in a PEFT folder."),
      promptTemplateDigest: z
        .string()
        .max(128)
        .optional()
        .describe('sha256:… of the prompt template that the replicas run with.'),
      bytes: z.int().min(0).optional().describe('Size of the weights.'),
      loadSeconds: z.int().min(0).optional().describe('From the start of the engine to its first answer, last seen.'),
    })
    .optional()
    .describe('What runs: what is known of the weights, the adapter and the prompt template.'),
  conditions: mapList(condition(), 'type', 16).optional().describe('What is so, and why.'),
});

/** The whole object, as its CRD describes it. */
export const specializedModel = withRules(
  z.object({
    metadata: z.object({ name: z.string() }),
    spec: specializedModelSpec.describe('What is wanted.'),
    status: specializedModelStatus.optional().describe('What is so. Written by the operator.'),
  }),
  nameRule(
    '^[a-z]([-a-z0-9]*[a-z0-9])?$',
    'lower-case letters, digits and "-", with a letter first and a letter or digit last',
  ),
);

export type SpecializedModelSpec = z.infer<typeof specializedModelSpec>;
export type SpecializedModelStatus = z.infer<typeof specializedModelStatus>;
export type EngineType = (typeof engineTypes)[number];
export type Task = (typeof tasks)[number];
