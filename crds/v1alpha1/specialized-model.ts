import { z } from 'zod';
import { atomicList, condition, dnsLabel, intOrPercent, mapList, quantity, secretKeyRef } from '../schema.ts';

export const tasks = ['Classification', 'Extraction', 'Generation', 'Embedding'] as const;
export const engineTypes = ['VLLM', 'LlamaCpp'] as const;

const modelSource = z
  .object({
    uri: z
      .string()
      .min(1)
      .max(1024)
      .describe(
        'Where the weights are: pvc://CLAIM/PATH, hf://OWNER/REPO[/FILE] or https://HOST/PATH. For LlamaCpp it names one GGUF file; for VLLM a folder or repository.',
      ),
    revision: z
      .string()
      .min(1)
      .max(255)
      .regex(/^[A-Za-z0-9][-A-Za-z0-9._/]*$/)
      .optional()
      .describe('hf: the commit (40 hexadecimal digits), or with allowMutable a branch or tag.'),
    allowMutable: z.boolean().optional().describe('hf: allows a branch or tag as revision, whose content may change.'),
    sha256: z
      .string()
      .regex(/^[0-9a-f]{64}$/)
      .optional()
      .describe('SHA-256 of the one model file, verified before the engine may start. Required for https.'),
    credentials: secretKeyRef('token')
      .optional()
      .describe('Secret with a bearer token for the download; given to the loader only, never to the engine.'),
    cache: z
      .object({ claimName: dnsLabel(253).describe('A ReadWriteMany PersistentVolumeClaim in the same namespace.') })
      .optional()
      .describe('Keeps downloaded weights in a claim shared by all replicas, written once under a lock.'),
  })
  .describe('The weights.');

const engine = z
  .object({
    type: z.enum(engineTypes).describe('Which server runs the model.'),
    image: z
      .string()
      .min(1)
      .max(512)
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
        name: z
          .string()
          .min(1)
          .max(253)
          .regex(/^[-._a-zA-Z][-._a-zA-Z0-9]*$/),
        value: z.string().max(8192),
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

const resourceList = () =>
  z.object({ cpu: quantity().optional(), memory: quantity().optional(), 'ephemeral-storage': quantity().optional() });

export const specializedModelSpec = z.object({
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
  resources: z
    .object({ requests: resourceList().optional(), limits: resourceList().optional() })
    .optional()
    .describe("The engine container's CPU, memory and ephemeral storage."),
  replicas: z.int32().min(0).max(10_000).describe('Number of replicas; an HPA or KEDA writes it through /scale.'),
  updateStrategy: z
    .object({ maxSurge: intOrPercent().default(1), maxUnavailable: intOrPercent().default(0) })
    .optional()
    .describe('How a change rolls out, as in a Deployment. Where no GPU is spare: maxSurge 0, maxUnavailable 1.'),
});

export const specializedModelStatus = z.object({
  observedGeneration: z.int().min(0).optional(),
  replicas: z.int32().min(0).optional().describe('Pods that exist.'),
  readyReplicas: z.int32().min(0).optional().describe('Pods that are ready.'),
  selector: z.string().max(512).optional().describe("The pods' label selector, for /scale."),
  endpoint: z.string().max(512).optional().describe('Internal address, for the router.'),
  model: z
    .object({
      digest: z.string().max(128).optional().describe('sha256:… of the one model file, when it is known.'),
      bytes: z.int().min(0).optional().describe('Size of the weights.'),
      loadSeconds: z.int().min(0).optional().describe('From the start of the engine to its first answer, last seen.'),
    })
    .optional(),
  conditions: mapList(condition(), 'type', 16).optional(),
});

export type SpecializedModelSpec = z.infer<typeof specializedModelSpec>;
export type SpecializedModelStatus = z.infer<typeof specializedModelStatus>;
export type EngineType = (typeof engineTypes)[number];
export type Task = (typeof tasks)[number];
