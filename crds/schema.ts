import { z } from 'zod';

/** A list of objects that is merged and addressed by a key, as server-side apply does. */
export function mapList<T extends z.ZodType>(item: T, key: string, max: number) {
  return z
    .array(item)
    .max(max)
    .meta({ 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': [key] });
}

/** A list that is one value: whoever sets it sets all of it. */
export function atomicList<T extends z.ZodType>(item: T, max: number) {
  return z.array(item).max(max).meta({ 'x-kubernetes-list-type': 'atomic' });
}

/** A DNS label (RFC 1123): lower-case letters, digits and `-`, at most `max` characters. */
export const dnsLabel = (max = 63) =>
  z
    .string()
    .min(1)
    .max(max)
    .regex(/^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/);

/** A Go-style duration of whole units: `300ms`, `10s`, `5m`, `1h30m`. */
export const duration = () =>
  z
    .string()
    .max(32)
    .regex(/^([0-9]+(ms|s|m|h))+$/);

/** A Kubernetes quantity, e.g. `500m`, `2Gi`; a number is taken as well, as Kubernetes does. */
export const quantity = () =>
  z.union([z.int32().min(0), z.string().max(32)]).meta({
    'x-kubernetes-int-or-string': true,
    pattern:
      '^(\\+|-)?(([0-9]+(\\.[0-9]*)?)|(\\.[0-9]+))(([KMGTPE]i)|[numkMGTPE]|([eE](\\+|-)?(([0-9]+(\\.[0-9]*)?)|(\\.[0-9]+))))?$',
  });

/** A number of pods or a percentage, as in a Deployment's strategy. */
export const intOrPercent = () =>
  z
    .union([
      z.int32().min(0),
      z
        .string()
        .max(4)
        .regex(/^(100|[1-9]?[0-9])%$/),
    ])
    .meta({
      'x-kubernetes-int-or-string': true,
      pattern: '^(100|[1-9]?[0-9])%$',
    });

/** Points to one key of a Secret in the object's own namespace. */
export const secretKeyRef = (defaultKey: string) =>
  z.object({
    name: z.string().min(1).max(253).describe('Name of a Secret in the same namespace.'),
    key: z
      .string()
      .min(1)
      .max(253)
      .regex(/^[-._a-zA-Z0-9]+$/)
      .default(defaultKey)
      .describe('Key in the Secret.'),
  });

/** metav1.Condition. */
export const condition = () =>
  z.object({
    type: z.string().min(1).max(316),
    status: z.enum(['True', 'False', 'Unknown']),
    reason: z
      .string()
      .min(1)
      .max(1024)
      .regex(/^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$/),
    message: z.string().max(32768),
    lastTransitionTime: z.string().max(64).meta({ format: 'date-time' }),
    observedGeneration: z.int().min(0).optional(),
  });

/** metav1.Condition as it is on the wire. */
export type Condition = z.infer<ReturnType<typeof condition>>;
