import { z } from 'zod';
import { cidr } from '../../crds/cidr.ts';

/** Configuration of the router: a YAML file, written by the chart from its values. */
export const routerConfigSchema = z.strictObject({
  namespace: z.string().min(1).describe('Where the route Secrets are: the namespace of Cadre itself.'),
  service: z
    .string()
    .min(1)
    .optional()
    .describe(
      "Name of the router's own Service, whose endpoints share the limits of policies. Absent: this one is alone.",
    ),
  bodyLimitBytes: z
    .int()
    .min(1024)
    .max(1024 * 1024 * 1024)
    .default(10 * 1024 * 1024)
    .describe('Largest request body.'),
  client: z
    .strictObject({
      headersTimeoutSeconds: z
        .int()
        .min(1)
        .max(3600)
        .default(10)
        .describe('How long a client may take to send headers.'),
      bodyTimeoutSeconds: z.int().min(1).max(3600).default(30).describe('How long a client may take to send its body.'),
      writeTimeoutSeconds: z
        .int()
        .min(1)
        .max(3600)
        .default(30)
        .describe('How long a client may not read of its answer before it is cut off.'),
      commentSeconds: z
        .int()
        .min(1)
        .max(3600)
        .default(10)
        .describe('How often a client is told that its stream is still to come, while an answer is held to be judged.'),
      keepAliveSeconds: z.int().min(1).max(3600).default(75).describe('How long an idle connection is kept.'),
      maxBufferedBytes: z
        .int()
        .min(1024)
        .max(2 ** 40)
        .default(128 * 1024 * 1024)
        .describe('Request bodies that may be in memory at once, over all clients; a body alone is always taken.'),
    })
    .prefault({}),
  providers: z
    .strictObject({
      allowedCIDRs: z
        .array(cidr())
        .default([])
        .describe('Address ranges where providers may be although they are private.'),
      deniedCIDRs: z
        .array(cidr())
        .default([])
        .describe(
          "Public address ranges where they may not be: the cluster's pods and Services, where these are public.",
        ),
      caFile: z.string().min(1).optional().describe('File with further certificate authorities to trust (PEM).'),
      connectTimeoutSeconds: z.int().min(1).max(60).default(5),
    })
    .prefault({}),
  retries: z
    .strictObject({
      endpoints: z
        .int()
        .min(0)
        .max(10)
        .default(2)
        .describe('How many further endpoints of one backend are tried before the next backend is.'),
    })
    .prefault({}),
  accessLog: z
    .strictObject({
      sample: z
        .number()
        .min(0)
        .max(1)
        .default(0.01)
        .describe('Share of the requests that are logged; answers of status 500 and above always are.'),
    })
    .prefault({}),
  tracing: z
    .strictObject({
      endpoint: z
        .union([z.literal(''), z.url({ protocol: /^https?$/ })])
        .default('')
        .describe(
          'Where an OpenTelemetry collector takes OTLP over HTTP, without /v1/traces; empty: as OTEL_EXPORTER_OTLP_ENDPOINT says, else no traces.',
        ),
      sampleRatio: z
        .number()
        .min(0)
        .max(1)
        .default(1)
        .describe('Share of the requests that are traced, of those whose client did not decide by its traceparent.'),
      providers: z.boolean().default(false).describe('Whether providers are told the id of the trace (traceparent).'),
    })
    .prefault({}),
  drain: z
    .strictObject({
      delaySeconds: z
        .int()
        .min(0)
        .max(300)
        .default(5)
        .describe('How long endpoints take to spread: requests are still accepted meanwhile.'),
      deadlineSeconds: z.int().min(1).max(3600).default(60).describe('How long requests in flight may take to end.'),
    })
    .prefault({}),
});

export type RouterConfig = z.infer<typeof routerConfigSchema>;
/** As it is written: what has a default may be left out. */
export type RouterConfigInput = z.input<typeof routerConfigSchema>;
