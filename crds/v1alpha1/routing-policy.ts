import { z } from 'zod';
import { durationPattern, parseDuration } from '../duration.ts';
import { withRules } from '../rules.ts';
import {
  atomicList,
  condition,
  dnsLabel,
  duration,
  isDuration,
  mapList,
  maxNameLength,
  nameRule,
  secretKeyRef,
  text,
} from '../schema.ts';
import { escalation, streamingRule } from './escalation.ts';
import { hedge } from './hedge.ts';
import { limits } from './limits.ts';
import { output } from './output.ts';
import { price } from './price.ts';
import { provider } from './provider.ts';
import { priorities, queue } from './queue.ts';
import { stickiness, trafficRule, weightedSplit } from './split.ts';

const backend = withRules(
  z.object({
    name: dnsLabel().describe('By which split and fallback name it.'),
    modelRef: z
      .object({ name: dnsLabel(maxNameLength).describe('Name of the SpecializedModel.') })
      .optional()
      .describe('A SpecializedModel of the same namespace. Exactly one of modelRef and provider.'),
    provider: provider.optional().describe('An external model. Exactly one of modelRef and provider.'),
    price: price.optional().describe('What its tokens cost. Absent: its cost is unknown, which is not nothing.'),
    maxConcurrency: z
      .int32()
      .min(1)
      .max(100_000)
      .optional()
      .describe(
        'How many requests of this policy may be in flight there at once, in each replica of the router. Others wait in the queue, or go on to the next backend where there is none.',
      ),
  }),
  {
    rule: 'has(self.modelRef) != has(self.provider)',
    holds: (self) => (self.modelRef === undefined) !== (self.provider === undefined),
    message: 'a backend needs exactly one of modelRef and provider',
  },
);

const access = withRules(
  z.object({
    mode: z.enum(['Open']).optional().describe('Open: anyone who reaches the router may call NAMESPACE/NAME.'),
    keys: mapList(
      z.object({
        name: dnsLabel().describe('Says whose key it is, in logs and metrics.'),
        secretRef: secretKeyRef().describe('Secret with the key: at least 32 characters.'),
        priority: z.enum(priorities).optional().describe('Who is let in first from the queue; Normal when absent.'),
      }),
      'name',
      256,
    )
      .min(1)
      .optional()
      .describe('Keys that may call this model.'),
  }),
  {
    rule: 'has(self.keys) != has(self.mode)',
    holds: ({ keys, mode }) => (keys === undefined) !== (mode === undefined),
    message: 'access needs exactly one of keys (who may call) and mode: Open (anyone may)',
  },
);

const timeouts = withRules(
  z.object({
    firstByte: duration().default('10s').describe('From sending a request to the first byte of the answer.'),
    idle: duration().default('20s').describe('Between two pieces of a streamed answer.'),
    total: duration().default('60s').describe('The whole request, with every attempt.'),
  }),
  {
    // The guard keeps a malformed duration, which has its own message, from being a runtime error here.
    rule: `!self.total.matches(r'${durationPattern}') || !self.firstByte.matches(r'${durationPattern}') || duration(self.total) >= duration(self.firstByte)`,
    holds: ({ total, firstByte }) =>
      !isDuration(total) || !isDuration(firstByte) || parseDuration(total) >= parseDuration(firstByte),
    message: 'timeouts.total must be at least timeouts.firstByte, which is 10s unless it is set',
    fieldPath: '.total',
  },
);

const routingPolicySpec = withRules(
  z.object({
    model: text(
      128,
      '^[A-Za-z0-9][-A-Za-z0-9._:]*$',
      'model must be letters, digits, "-", ".", "_" and ":", with a letter or digit first',
    )
      .optional()
      .describe('The model name that clients send; default: the name of the policy. NAMESPACE/NAME always works too.'),
    access: access.describe('Who may call: exactly one of keys and mode.'),
    backends: mapList(backend, 'name', 16).min(1).describe('Where requests can be answered.'),
    rules: mapList(trafficRule, 'name', 16)
      .optional()
      .describe(
        'Splits of their own for some requests: the first rule whose conditions hold. Without one, spec.split.',
      ),
    split: weightedSplit.describe('Weighted choice among backends.'),
    sticky: stickiness
      .optional()
      .describe('Sends requests that belong together to one backend, of those that have a weight.'),
    fallback: withRules(atomicList(z.string().min(1).max(63), 16), {
      rule: 'self.all(name, self.exists_one(other, other == name))',
      holds: (self) => new Set(self).size === self.length,
      message: 'fallback must name each backend at most once',
    })
      .optional()
      .describe('Backends to ask, in this order, when the chosen one is not there or fails before the answer began.'),
    output: output.optional().describe('What an answer looks like.'),
    escalation: escalation
      .optional()
      .describe('Asks another backend where the first answer is not trusted, or none came.'),
    limits: limits
      .optional()
      .describe('How much clients may ask for. The replicas of the router divide it among them.'),
    queue: queue
      .optional()
      .describe('Where requests wait for a place at a backend with maxConcurrency; absent: none waits.'),
    hedge: hedge
      .optional()
      .describe(
        'Asks another endpoint, or the next backend of fallback, beside one that is slow to begin; the first answer is given.',
      ),
    timeouts: timeouts.prefault({}).describe('How long to wait.'),
  }),
  {
    rule: 'self.split.all(entry, self.backends.exists(backend, backend.name == entry.backend))',
    holds: ({ split, backends }) => split.every((entry) => backends.some(({ name }) => name === entry.backend)),
    message: 'each backend in split must be the name of one in backends',
    fieldPath: '.split',
  },
  {
    rule: '!has(self.rules) || self.rules.all(rule, rule.split.all(entry, self.backends.exists(backend, backend.name == entry.backend)))',
    holds: ({ rules, backends }) =>
      (rules ?? []).every((rule) => rule.split.every((entry) => backends.some(({ name }) => name === entry.backend))),
    message: 'each backend in the split of a rule must be the name of one in backends',
    fieldPath: '.rules',
  },
  {
    rule: '!has(self.fallback) || self.fallback.all(entry, self.backends.exists(backend, backend.name == entry))',
    holds: ({ fallback, backends }) =>
      fallback === undefined || fallback.every((entry) => backends.some(({ name }) => name === entry)),
    message: 'each name in fallback must be the name of one in backends',
    fieldPath: '.fallback',
  },
  {
    rule: "!has(self.limits) || self.limits.per != 'Key' || has(self.access.keys)",
    holds: ({ limits: own, access: { keys } }) => own?.per !== 'Key' || keys !== undefined,
    message: 'limits.per: Key needs access.keys, for without keys nobody tells callers apart; use per: Policy',
    fieldPath: '.limits',
  },
  {
    rule: '!has(self.escalation) || self.escalation.steps.all(step, self.backends.exists(backend, backend.name == step.to))',
    holds: (spec) =>
      spec.escalation === undefined ||
      spec.escalation.steps.every(({ to }) => spec.backends.some(({ name }) => name === to)),
    message: 'each escalation.steps[].to must be the name of one in backends',
    fieldPath: '.escalation',
  },
  {
    rule: '!has(self.queue) || self.backends.exists(backend, has(backend.maxConcurrency))',
    holds: ({ queue: waits, backends }) =>
      waits === undefined || backends.some(({ maxConcurrency }) => maxConcurrency !== undefined),
    message: 'queue has nothing to wait for: set maxConcurrency of a backend, or remove queue',
    fieldPath: '.queue',
  },
  streamingRule,
);

const routingPolicyStatus = z.object({
  observedGeneration: z.int().min(0).optional().describe('The generation of the spec that this status is about.'),
  model: z.string().max(128).optional().describe('The model name that clients send.'),
  weights: mapList(
    z.object({
      backend: z.string().max(63).describe('Name of the backend.'),
      weight: z.int32().min(0).describe('Its share, relative to the sum of all weights.'),
    }),
    'backend',
    16,
  )
    .optional()
    .describe('How traffic is divided now.'),
  conditions: mapList(condition(), 'type', 16).optional().describe('What is so, and why.'),
});

/** The whole object, as its CRD describes it. */
export const routingPolicy = withRules(
  z.object({
    metadata: z.object({ name: z.string() }),
    spec: routingPolicySpec.describe('What is wanted.'),
    status: routingPolicyStatus.optional().describe('What is so. Written by the operator.'),
  }),
  nameRule(
    '^[a-z0-9]([-a-z0-9]*[a-z0-9])?$',
    'lower-case letters, digits and "-", with a letter or digit at either end',
  ),
);

export type RoutingPolicySpec = z.infer<typeof routingPolicySpec>;
export type RoutingPolicyStatus = z.infer<typeof routingPolicyStatus>;
