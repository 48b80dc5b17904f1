import { z } from 'zod';
import { durationPattern, maxDurationLength, parseDuration } from './duration.ts';
import { maxQuantityLength, quantityPattern } from './quantity.ts';
import { matching, type Rule, withRules } from './rules.ts';
import { dnsNamePattern } from './url-parts.ts';

/** Longest name of an object of ours, so that its children's names fit into a DNS label. */
export const maxNameLength = 45;

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

/** A list without repetitions, which is merged. */
export function setList<T extends z.ZodType>(item: T, max: number) {
  return z.array(item).max(max).meta({ 'x-kubernetes-list-type': 'set' });
}

/** An object of which only its reader knows the fields. Its size is for the operator to bound. */
export function preserveUnknown() {
  return z.looseObject({}).meta({ 'x-kubernetes-preserve-unknown-fields': true });
}

/** A string of one form, whose rule says in words what that is. */
export function text(max: number, pattern: string, message: string) {
  return withRules(z.string().min(1).max(max), matching(pattern, message));
}

/** A DNS label (RFC 1123): lower-case letters, digits and `-`, at most `max` characters. */
export const dnsLabel = (max = 63) =>
  text(
    max,
    '^[a-z0-9]([-a-z0-9]*[a-z0-9])?$',
    'must be lower-case letters, digits and "-", with a letter or digit at either end',
  );

/** The name of an object of Kubernetes (RFC 1123 subdomain). */
export const objectName = () =>
  text(
    253,
    `^${dnsNamePattern}$`,
    'must be the name of an object: lower-case letters, digits, "-" and ".", with a letter or digit at either end',
  );

/** A Go-style duration of whole units, more than zero and at most an hour: `300ms`, `10s`, `5m`, `1m30s`. */
export const duration = () =>
  withRules(z.string().max(maxDurationLength), {
    rule: `self.matches(r'${durationPattern}') && duration(self) > duration('0s') && duration(self) <= duration('1h')`,
    holds: (self) => isDuration(self) && parseDuration(self) > 0 && parseDuration(self) <= 3_600_000,
    message: 'must be a duration of more than zero and at most 1h, in whole numbers with units: 300ms, 10s, 1m30s',
    pattern: durationPattern,
  });

/** Whether `parseDuration` takes it. */
export function isDuration(value: string): boolean {
  return new RegExp(durationPattern).test(value);
}

const sharePattern = '^(0([.][0-9]{1,6})?|1([.]0{1,6})?)$';

/** A decimal number above 0 and at most 1, in quotes, for the field of this name: `"0.85"`. */
export const share = (name: string) =>
  withRules(z.string().max(16), {
    rule: `self.matches(r'${sharePattern}') && double(self) > 0.0`,
    holds: (self) => new RegExp(sharePattern).test(self) && Number(self) > 0,
    message: `${name} must be a decimal number above 0 and at most 1 in quotes, such as "0.85"`,
    pattern: sharePattern,
  });

/** An integer or a string. What it may be, its rule says. */
function intOrString(maxLength: number, rule: Rule<string | number>) {
  const either = z.union([z.int(), z.string().max(maxLength)]);
  return withRules(either.meta({ 'x-kubernetes-int-or-string': true, maxLength }), rule);
}

/** A Kubernetes quantity, e.g. `500m`, `2Gi`; a whole number is taken as well, as Kubernetes does. */
export const quantity = () =>
  intOrString(maxQuantityLength, {
    rule: `type(self) == int ? int(self) >= 0 : string(self).matches(r'${quantityPattern}')`,
    holds: (self) => (typeof self === 'number' ? self >= 0 : new RegExp(quantityPattern).test(self)),
    message: 'must be a quantity that is not negative, such as 2, 500m or 16Gi; with a fraction in quotes, as "1.5"',
    pattern: quantityPattern,
  });

const percentPattern = '^(100|[1-9]?[0-9])%$';
const mostPods = 10_000;

/** A number of pods or a percentage, as in a Deployment's strategy. */
export const podsOrPercent = () =>
  intOrString(4, {
    rule: `type(self) == int ? int(self) >= 0 && int(self) <= ${mostPods} : string(self).matches(r'${percentPattern}')`,
    holds: (self) => (typeof self === 'number' ? self >= 0 && self <= mostPods : new RegExp(percentPattern).test(self)),
    message: `must be a number of pods from 0 to ${mostPods}, or a percentage from 0% to 100%`,
    pattern: percentPattern,
  });

const secretName = () => objectName().describe('Name of a Secret in the same namespace.');
const secretKey = () => text(253, '^[-._a-zA-Z0-9]+$', 'must be a key of a Secret: letters, digits, "-", "_" and "."');

/** Points to one key of a Secret in the object's own namespace. */
export const secretKeyRef = () => z.object({ name: secretName(), key: secretKey().describe('Key in the Secret.') });

/** The same with a default. Not for lists: a default in a list's entry looks like drift to GitOps tools. */
export const secretKeyRefOr = (key: string) =>
  z.object({ name: secretName(), key: secretKey().default(key).describe('Key in the Secret.') });

/** The rule that a kind's own name obeys; `rest` is what it must look like, `words` the same in words. */
export function nameRule(rest: string, words: string): Rule<{ metadata: { name: string } }> {
  const expression = new RegExp(rest);
  return {
    rule: `self.metadata.name.size() <= ${maxNameLength} && self.metadata.name.matches(r'${rest}')`,
    holds: ({ metadata: { name } }) => name.length <= maxNameLength && expression.test(name),
    message: `metadata.name must be at most ${maxNameLength} characters: ${words}`,
    fieldPath: '.metadata.name',
  };
}

/** metav1.Condition. */
export const condition = () =>
  z.object({
    type: z.string().min(1).max(316).describe('What the condition is about.'),
    status: z.enum(['True', 'False', 'Unknown']).describe('Whether it is so.'),
    reason: z
      .string()
      .min(1)
      .max(1024)
      .regex(/^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$/)
      .describe('Why, in one word of a documented list.'),
    message: z.string().max(32768).describe('Why, in words, and what to do about it.'),
    lastTransitionTime: z.string().max(64).meta({ format: 'date-time' }).describe('When the status last changed.'),
    observedGeneration: z.int().min(0).optional().describe('The generation of the spec that this is about.'),
  });

/** metav1.Condition as it is on the wire. */
export type Condition = z.infer<ReturnType<typeof condition>>;
