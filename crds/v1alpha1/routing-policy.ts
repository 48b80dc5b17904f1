import { z } from 'zod';
import { atomicList, condition, dnsLabel, duration, mapList, secretKeyRef } from '../schema.ts';

export const providerTypes = ['OpenAI', 'OpenAICompatible'] as const;

const backend = z.object({
  name: dnsLabel().describe('By which split and fallback name it.'),
  modelRef: z
    .object({ name: dnsLabel(45).describe('A SpecializedModel of the same namespace.') })
    .optional()
    .describe('Exactly one of modelRef and provider.'),
  provider: z
    .object({
      type: z.enum(providerTypes).describe('The dialect that the provider speaks.'),
      url: z
        .string()
        .max(1024)
        .optional()
        .describe('OpenAICompatible: the base URL, as an OpenAI client takes it, e.g. https://api.example.com/v1.'),
      model: z.string().min(1).max(256).describe("The provider's name of the model."),
      apiKey: secretKeyRef('token')
        .optional()
        .describe(
          'Secret with the API key. For OpenAICompatible the Secret must carry the annotation cadre.dev/hosts with the host.',
        ),
    })
    .optional()
    .describe('An external model. Exactly one of modelRef and provider.'),
});

export const routingPolicySpec = z.object({
  model: z
    .string()
    .min(1)
    .max(128)
    .regex(/^[A-Za-z0-9][-A-Za-z0-9._:]*$/)
    .optional()
    .describe('The model name that clients send; default: the name of the policy. NAMESPACE/NAME always works too.'),
  access: z
    .object({
      mode: z.enum(['Open']).optional().describe('Open: anyone who reaches the router may call NAMESPACE/NAME.'),
      keys: mapList(
        z.object({
          name: dnsLabel().describe('Says whose key it is, in logs and metrics.'),
          secretRef: secretKeyRef('token').describe('Secret with the key: at least 32 characters.'),
        }),
        'name',
        256,
      )
        .min(1)
        .optional()
        .describe('Keys that may call this model.'),
    })
    .describe('Who may call: exactly one of keys and mode.'),
  backends: mapList(backend, 'name', 16).min(1).describe('Where requests can be answered.'),
  split: mapList(
    z.object({
      backend: dnsLabel().describe('Name of a backend.'),
      weight: z.int32().min(0).max(1_000_000).describe('Its share, relative to the sum of all weights.'),
    }),
    'backend',
    16,
  )
    .min(1)
    .describe('Weighted choice among backends.'),
  fallback: atomicList(dnsLabel(), 16)
    .optional()
    .describe('Backends to ask, in this order, when the chosen one is not there or fails before the answer began.'),
  output: z
    .object({
      labels: mapList(
        z.object({ name: z.string().min(1).max(128).describe('The label, as it is answered.') }),
        'name',
        1000,
      )
        .min(2)
        .optional()
        .describe('The only answers there are. Models are held to them by the engine.'),
    })
    .optional()
    .describe('What an answer looks like.'),
  timeouts: z
    .object({
      firstByte: duration().default('10s').describe('From sending a request to the first byte of the answer.'),
      idle: duration().default('20s').describe('Between two pieces of a streamed answer.'),
      total: duration().default('60s').describe('The whole request, with every attempt.'),
    })
    .prefault({})
    .describe('How long to wait.'),
});

export const routingPolicyStatus = z.object({
  observedGeneration: z.int().min(0).optional(),
  model: z.string().max(128).optional().describe('The model name that clients send.'),
  weights: mapList(z.object({ backend: dnsLabel(), weight: z.int32().min(0) }), 'backend', 16).optional(),
  conditions: mapList(condition(), 'type', 16).optional(),
});

export type RoutingPolicySpec = z.infer<typeof routingPolicySpec>;
export type RoutingPolicyStatus = z.infer<typeof routingPolicyStatus>;
