import { z } from 'zod';
import { maxClaimLength, maxModelUriLength, modelUriMessages, modelUriPatterns } from '../model-uri.ts';
import { compareQuantities } from '../quantity.ts';
import { type Rule, withRules } from '../rules.ts';
import {
  atomicList,
  condition,
  dnsLabel,
  mapList,
  nameRule,
  objectName,
  podsOrPercent,
  quantity,
  secretKeyRefOr,
  text,
} from '../schema.ts';

export const tasks = ['Classification', 'Extraction', 'Generation', 'Embedding'] as const;
export const engineTypes = ['VLLM', 'LlamaCpp'] as const;

const schemes = ['pvc', 'hf', 'https'] as const;
const uriForm = (scheme: (typeof schemes)[number]): Rule<string> => ({
  rule: `!self.startsWith('${scheme}://') || self.matches(r'${modelUriPatterns[scheme]}')`,
  holds: (self) => !self.startsWith(`${scheme}://`) || new RegExp(modelUriPatterns[scheme]).test(self),
  message: modelUriMessages[scheme],
});

const modelUri = withRules(
  z.string().min(1).max(maxModelUriLength),
  {
    rule: `self.startsWith('pvc://') || self.startsWith('hf://') || self.startsWith('https://')`,
    holds: (self) => schemes.some((scheme) => self.startsWith(`${scheme}://`)),
    message: modelUriMessages.scheme,
  },
  ...schemes.map(uriForm),
  {
    rule: `!self.startsWith('pvc://') || self.indexOf('/', 6) <= 6 + ${maxClaimLength}`,
    holds: (self) => !self.startsWith('pvc://') || self.indexOf('/', 6) <= 6 + maxClaimLength,
    message: modelUriMessages.claim,
  },
);

const commit = /^[0-9a-f]{40}$/;
const partOfSeveral = /-[0-9]{5}-of-[0-9]{5}\.gguf$/;

const modelSource = withRules(
  z.object({
    uri: modelUri.describe(
      'Where the weights are: pvc://CLAIM/PATH, hf://OWNER/REPO[/FILE] or https://HOST/PATH. For LlamaCpp it names one GGUF file; for VLLM a folder or repository.',
    ),
    revision: text(
      255,
      '^[A-Za-z0-9][A-Za-z0-9_-]*([./][A-Za-z0-9_-]+)*$',
      'model.revision must be a commit, branch or tag: letters, digits, "-", "_", and single "." and "/" between them',
    )
      .optional()
      .describe('hf: the commit (40 hexadecimal digits), or with allowMutable a branch or tag.'),
    allowMutable: z
      .boolean()
      .optional()
      .describe(
        "hf: allows a branch or tag as revision, whose content may change; without a revision the repository's main branch.",
      ),
    sha256: text(
      64,
      '^[0-9a-f]{64}$',
      'model.sha256 must be 64 lower-case hexadecimal digits, as sha256sum prints them',
    )
      .optional()
      .describe('SHA-256 of the one model file, verified before the engine may start. Required for https.'),
    credentials: secretKeyRefOr('token')
      .optional()
      .describe(
        'Secret with a bearer token for the download; given to the loader only, never to the engine. For https the Secret must carry the annotation cadre.dev/hosts with the host, as HOST (any port) or HOST:PORT.',
      ),
    cache: z
      .object({ claimName: objectName().describe('A ReadWriteMany PersistentVolumeClaim in the same namespace.') })
      .optional()
      .describe('Keeps downloaded weights in a claim shared by all replicas, written once under a lock.'),
  }),
  {
    rule: `self.uri.startsWith('hf://') || !has(self.revision)`,
    holds: ({ uri, revision }) => uri.startsWith('hf://') || revision === undefined,
    message: 'model.revision is for hf:// only; remove it',
    fieldPath: '.revision',
  },
  {
    rule: `self.uri.startsWith('hf://') || !has(self.allowMutable)`,
    holds: ({ uri, allowMutable }) => uri.startsWith('hf://') || allowMutable === undefined,
    message: 'model.allowMutable is for hf:// only; remove it',
    fieldPath: '.allowMutable',
  },
  {
    rule: `!self.uri.startsWith('hf://') || (has(self.allowMutable) && self.allowMutable) || (has(self.revision) && self.revision.matches(r'${commit.source}'))`,
    holds: ({ uri, allowMutable, revision }) =>
      !uri.startsWith('hf://') || allowMutable === true || (revision !== undefined && commit.test(revision)),
    message:
      'model.revision must be a commit of 40 lower-case hexadecimal digits, so that every replica runs the same weights; for a branch or tag set model.allowMutable: true',
    fieldPath: '.revision',
  },
  {
    rule: `!self.uri.startsWith('https://') || has(self.sha256)`,
    holds: ({ uri, sha256 }) => !uri.startsWith('https://') || sha256 !== undefined,
    message: 'model.sha256 is required with https://: the SHA-256 of the file, as sha256sum prints it',
    fieldPath: '.sha256',
  },
  {
    rule: `!self.uri.startsWith('pvc://') || !has(self.credentials)`,
    holds: ({ uri, credentials }) => !uri.startsWith('pvc://') || credentials === undefined,
    message: 'model.credentials are for downloads, hf:// and https://; remove them',
    fieldPath: '.credentials',
  },
  {
    rule: `!self.uri.startsWith('pvc://') || !has(self.cache)`,
    holds: ({ uri, cache }) => !uri.startsWith('pvc://') || cache === undefined,
    message: 'model.cache is for downloads, hf:// and https://; a claim needs none: remove it',
    fieldPath: '.cache',
  },
  {
    rule: `!self.uri.startsWith('https://') || !self.uri.matches(r'${partOfSeveral.source}')`,
    holds: ({ uri }) => !uri.startsWith('https://') || !partOfSeveral.test(uri),
    message:
      'model.uri names one part of a GGUF in several parts, and https:// is one file: join them with llama-gguf-split --merge',
    fieldPath: '.uri',
  },
  {
    rule: `!has(self.sha256) || !self.uri.matches(r'${partOfSeveral.source}')`,
    holds: ({ uri, sha256 }) => sha256 === undefined || !partOfSeveral.test(uri),
    message:
      'model.sha256 is of one file, and model.uri names a GGUF in several parts: remove it, or join them with llama-gguf-split --merge',
    fieldPath: '.sha256',
  },
).describe('The weights.');

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
  {
    rule: `self.engine.type != 'LlamaCpp' || (self.model.uri.endsWith('.gguf') && !self.model.uri.matches(r'^hf://[^/]+/[^/]+$'))`,
    holds: ({ engine: { type }, model: { uri } }) =>
      type !== 'LlamaCpp' || (uri.endsWith('.gguf') && !/^hf:\/\/[^/]+\/[^/]+$/.test(uri)),
    message:
      'model.uri must name one file that ends in .gguf, as engine.type is LlamaCpp; with hf: hf://OWNER/REPO/FILE.gguf',
    fieldPath: '.model.uri',
  },
  {
    rule: `self.engine.type != 'VLLM' || !self.model.uri.startsWith('https://')`,
    holds: ({ engine: { type }, model: { uri } }) => type !== 'VLLM' || !uri.startsWith('https://'),
    message: 'model.uri must be hf:// or pvc://, as engine.type is VLLM, which loads a folder; https:// is one file',
    fieldPath: '.model.uri',
  },
  {
    rule: `self.engine.type != 'VLLM' || !self.model.uri.endsWith('.gguf')`,
    holds: ({ engine: { type }, model: { uri } }) => type !== 'VLLM' || !uri.endsWith('.gguf'),
    message:
      'model.uri must be a folder or repository with safetensors, as engine.type is VLLM; for a .gguf file set engine.type: LlamaCpp',
    fieldPath: '.model.uri',
  },
  {
    rule: `self.engine.type != 'VLLM' || !self.model.uri.matches(r'^hf://[^/]+/[^/]+/')`,
    holds: ({ engine: { type }, model: { uri } }) => type !== 'VLLM' || !/^hf:\/\/[^/]+\/[^/]+\//.test(uri),
    message: 'model.uri must be the whole repository, hf://OWNER/REPO, as engine.type is VLLM',
    fieldPath: '.model.uri',
  },
  {
    rule: `self.engine.type != 'VLLM' || !has(self.model.sha256)`,
    holds: ({ engine: { type }, model: { sha256 } }) => type !== 'VLLM' || sha256 === undefined,
    message: 'model.sha256 is of one file, and engine.type VLLM loads many; remove it: model.revision pins them all',
    fieldPath: '.model.sha256',
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
      bytes: z.int().min(0).optional().describe('Size of the weights.'),
      loadSeconds: z.int().min(0).optional().describe('From the start of the engine to its first answer, last seen.'),
    })
    .optional()
    .describe('What is known of the weights.'),
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
