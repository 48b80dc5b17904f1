import { z } from 'zod';
import { cidr } from '../crds/cidr.ts';

const labels = z.record(z.string(), z.string());

/** core/v1 Toleration. */
const toleration = z.strictObject({
  key: z.string().optional(),
  operator: z.enum(['Exists', 'Equal']).optional(),
  value: z.string().optional(),
  effect: z.enum(['NoSchedule', 'PreferNoSchedule', 'NoExecute']).optional(),
});

/** networking/v1 NetworkPolicyPeer. */
const labelSelector = z.looseObject({ matchLabels: labels.optional() });
const networkPolicyPeer = z.strictObject({
  namespaceSelector: labelSelector.optional(),
  podSelector: labelSelector.optional(),
  ipBlock: z.strictObject({ cidr: cidr(), except: z.array(cidr()).optional() }).optional(),
});

const gpuProfile = z.strictObject({
  resourceName: z.string().min(1).describe('The extended resource that a pod asks for, e.g. nvidia.com/gpu.'),
  nodeSelector: labels.default({}).describe('Labels of the nodes that have this GPU.'),
  tolerations: z.array(toleration).default([]).describe('Taints of these nodes that pods tolerate.'),
  runtimeClassName: z.string().optional().describe('RuntimeClass of pods with this GPU.'),
});

/** Configuration of the operator: a YAML file, written by the chart from its values. */
export const operatorConfigSchema = z.strictObject({
  image: z.string().min(1).describe("Cadre's own image: the loader and the sidecar of model pods."),
  namespace: z
    .string()
    .min(1)
    .describe("Cadre's own namespace: the Lease, the route Secrets and the router are there."),
  routerSelector: labels.describe("Labels of the router's pods, in Cadre's own namespace: who may reach engines."),
  operatorSelector: labels.describe("Labels of the operator's pods, in Cadre's own namespace."),
  routeOwner: z
    .strictObject({ apiVersion: z.string(), kind: z.string(), plural: z.string(), name: z.string() })
    .describe("The chart's object that owns the route Secrets, so that uninstalling removes them."),
  watchNamespaces: z.array(z.string()).default([]).describe('Namespaces to serve; empty: all.'),
  engines: z.strictObject({
    VLLM: z.strictObject({ image: z.string().min(1) }),
    LlamaCpp: z.strictObject({ image: z.string().min(1) }),
  }),
  gpuProfiles: z.record(z.string(), gpuProfile).default({}).describe('What spec.gpu.profile may name.'),
  providers: z
    .strictObject({
      allowedHosts: z
        .array(z.string())
        .default([])
        .describe('Hosts that a provider URL may name, as HOST or HOST:PORT; empty: any public host.'),
      allowedCIDRs: z
        .array(cidr())
        .default([])
        .describe('Address ranges that providers may be in although they are private.'),
    })
    .prefault({}),
  monitoring: z
    .strictObject({ from: z.array(networkPolicyPeer).default([]).describe('Peers that may scrape the engines.') })
    .prefault({}),
  hub: z
    .strictObject({ endpoint: z.url({ protocol: /^https?$/ }).default('https://huggingface.co') })
    .prefault({})
    .describe('Where hf:// comes from: the hub or a mirror of it.'),
  openShortNames: z
    .array(z.string())
    .default([])
    .describe('Policies (NAMESPACE/NAME) without keys that answer to their short model name as well.'),
  drain: z
    .strictObject({
      delaySeconds: z
        .int()
        .min(0)
        .max(300)
        .default(5)
        .describe('How long endpoints take to spread before a pod stops.'),
      deadlineSeconds: z.int().min(1).max(3600).default(60).describe('How long requests in flight may take to end.'),
    })
    .prefault({}),
});

export type OperatorConfig = z.infer<typeof operatorConfigSchema>;
export type GpuProfile = z.infer<typeof gpuProfile>;
