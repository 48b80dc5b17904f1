import { z } from 'zod';
import { escalationReasons } from './v1alpha1/escalation.ts';
import { limitSubjects } from './v1alpha1/limits.ts';
import { priorities } from './v1alpha1/queue.ts';
import { engineTypes, tasks } from './v1alpha1/specialized-model.ts';
import { responseFormats } from './v1alpha1/split.ts';

/** The version of the contract that this code writes and reads. */
export const routeVersion = 1;

/** A route Secret's document must not be larger, in bytes. */
export const maxRouteBytes = 512 * 1024;

/** Whole tenths of a nano-dollar a token, see economics/price.ts. */
const price = z.object({
  input: z.int().min(0),
  output: z.int().min(0),
  cachedInput: z.int().min(0).optional(),
  cacheWrite: z.int().min(0).optional(),
});

/** A SpecializedModel's pods, found by the EndpointSlices of its Service. */
const modelBackend = z.object({
  name: z.string(),
  kind: z.literal('Model'),
  /** Namespace and name of the SpecializedModel, which are also those of its Service. */
  namespace: z.string(),
  model: z.string(),
  /** The dialect. */
  engine: z.enum(engineTypes),
  task: z.enum(tasks),
  /** The model name that the engine answers to. */
  servedModel: z.string(),
  /**
   * VLLM with a classification head, which writes no text: called at /classify, with the text of the last message or the
   * chat's messages, of which the model's prompt template makes its prompt.
   */
  classify: z.enum(['Text', 'Messages']).optional(),
  price: price.optional(),
  /** Requests go to the endpoint that is likely to have the beginning of their prompt in its cache. */
  byPrompt: z.boolean().optional(),
  /** Requests in flight there, in each replica of the router. */
  maxConcurrency: z.number().optional(),
});

/** An external provider's model. */
const providerBackend = z.object({
  name: z.string(),
  kind: z.literal('Provider'),
  dialect: z.enum(['OpenAI', 'Anthropic']),
  /** Base URL without a slash at its end, e.g. `https://api.example.com/v1`. */
  baseUrl: z.string(),
  servedModel: z.string(),
  /** Anthropic: the most tokens of an answer where the request sets no limit. */
  maxTokens: z.number().int().optional(),
  /** The provider's key, in the clear: the Secret is as secret as it. */
  apiKey: z.string().optional(),
  price: price.optional(),
  /** Requests in flight there, in each replica of the router. */
  maxConcurrency: z.number().optional(),
});

/**
 * A backend that can't be asked for now: its model does not exist (`BackendNotFound`), or the Secret with its key does not
 * (`SecretNotFound`), was not meant for its host (`SecretNotShared`), … Its traffic goes by `fallback`.
 */
const unavailableBackend = z.object({
  name: z.string(),
  kind: z.literal('Unavailable'),
  /** The reason of the policy's condition. */
  reason: z.string(),
});

/** Whoever bears this key may use the route. */
const clientKey = z.object({
  name: z.string(),
  sha256: z.string(),
  /** False: with this key the short name means an older policy (`NameConflict`); only the long name reaches this one. */
  shortName: z.boolean().optional(),
  /** Absent: Normal. */
  priority: z.enum(priorities).optional(),
});

/** Shares of a weighted choice. */
const split = z.array(z.object({ backend: z.string(), weight: z.number().int().min(0) }));

/** One policy, compiled: what the router needs to serve one public model name. */
export const routeSchema = z.object({
  version: z.literal(routeVersion),
  policy: z.object({ namespace: z.string(), name: z.string(), uid: z.string(), generation: z.number() }),
  /** The short model name that clients send. `<namespace>/<policy>` always works too. */
  model: z.string(),
  access: z.discriminatedUnion('mode', [
    z.object({ mode: z.literal('Keys'), keys: z.array(clientKey) }),
    /** `shortName`: the operator's configuration grants this open route its short name. */
    z.object({ mode: z.literal('Open'), shortName: z.boolean() }),
  ]),
  backends: z.array(z.discriminatedUnion('kind', [modelBackend, providerBackend, unavailableBackend])),
  /** The first whose conditions all hold has the split; without one, the route's own. */
  rules: z
    .array(
      z.object({
        name: z.string(),
        when: z.object({
          /** Names in lower case. */
          headers: z.array(z.object({ name: z.string(), value: z.string().optional() })).optional(),
          metadata: z.array(z.object({ key: z.string(), value: z.string() })).optional(),
          promptTokens: z.object({ min: z.number().optional(), max: z.number().optional() }).optional(),
          tools: z.boolean().optional(),
          images: z.boolean().optional(),
          responseFormat: z.enum(responseFormats).optional(),
        }),
        split,
      }),
    )
    .optional(),
  split,
  sticky: z.object({ by: z.enum(['User', 'Header', 'Conversation']), header: z.string().optional() }).optional(),
  fallback: z.array(z.string()),
  output: z.object({
    labels: z.array(z.string()).optional(),
    /** Labels that models for classification say in one token; the others by the beginning of their names. */
    tokens: z.array(z.object({ label: z.string(), token: z.string() })).optional(),
    /** Each label is in exactly one. */
    groups: z.array(z.object({ name: z.string(), labels: z.array(z.string()) })).optional(),
    /** Absent: 1. */
    temperature: z.number().positive().optional(),
    /** JSON Schema of the documents that answers are; excludes labels. */
    jsonSchema: z.record(z.string(), z.unknown()).optional(),
  }),
  escalation: z
    .object({
      /** `threshold`: what an answer must reach, in (0, 1], or this step is taken. */
      steps: z.array(z.object({ to: z.string(), threshold: z.number().optional() })),
      when: z.array(z.enum(escalationReasons)),
      unknownConfidence: z.enum(['Escalate', 'Accept']),
      /** Of all requests, in (0, 1]. */
      maxRate: z.number().optional(),
      /** What a client that streams sees before an answer is judged. Absent: nothing. */
      streaming: z.enum(['Buffer', 'Prefix', 'PassThrough']).optional(),
    })
    .optional(),
  /** Of all replicas of the router together; at least one of the two numbers is there. */
  limits: z
    .object({
      requestsPerMinute: z.number().int().positive().optional(),
      tokensPerMinute: z.number().int().positive().optional(),
      per: z.enum(limitSubjects),
    })
    .optional(),
  /** Absent: no request waits for a place. */
  queue: z
    .object({
      maxRequests: z.number(),
      maxBytes: z.number(),
      maxWaitMs: z.number(),
      onDeadline: z.enum(['Escalate', 'Reject']),
    })
    .optional(),
  /** Absent: nobody is asked beside another. `maxRate`: of all requests, in (0, 1]. */
  hedge: z.object({ afterMs: z.number(), maxRate: z.number() }).optional(),
  /** Milliseconds. */
  timeouts: z.object({ firstByteMs: z.number(), idleMs: z.number(), totalMs: z.number() }),
});

export type Route = z.infer<typeof routeSchema>;
export type RouteBackend = Route['backends'][number];
export type ModelBackend = Extract<RouteBackend, { kind: 'Model' }>;
export type ProviderBackend = Extract<RouteBackend, { kind: 'Provider' }>;
