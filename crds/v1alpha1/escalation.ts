import { z } from 'zod';
import { type Rule, withRules } from '../rules.ts';
import { atomicList, dnsLabel, mapList, share } from '../schema.ts';

/** Why a request is taken to another backend than the chosen one. */
export const escalationReasons = ['LowConfidence', 'InvalidOutput', 'Error', 'Overloaded', 'Timeout'] as const;
export type EscalationReason = (typeof escalationReasons)[number];

const step = z.object({
  to: dnsLabel().describe('Name of the backend to ask next.'),
  confidence: z
    .object({
      threshold: share('threshold').describe('An answer with less confidence than this is not trusted, e.g. "0.85".'),
    })
    .optional()
    .describe('Absent: this step is for answers that are invalid, and for failures.'),
});

/** When a second backend is asked because the first answer is not trusted. */
export const escalation = withRules(
  z.object({
    steps: mapList(step, 'to', 4)
      .min(1)
      .describe(
        'From cheap to dear. The answer of the chosen backend is judged by the first step, that of a step by the next one; the last is given as it is.',
      ),
    when: withRules(atomicList(z.enum(escalationReasons), escalationReasons.length).min(1), {
      rule: 'self.all(reason, self.exists_one(other, other == reason))',
      holds: (self) => new Set(self).size === self.length,
      message: 'escalation.when must name each reason at most once',
    })
      .default([...escalationReasons])
      .describe(
        'LowConfidence: less than the threshold. InvalidOutput: cut off, refused, empty, or not one of the labels. Error, Overloaded, Timeout: no answer came.',
      ),
    unknownConfidence: z
      .enum(['Escalate', 'Accept'])
      .default('Escalate')
      .describe('What an answer is taken for whose confidence nobody knows.'),
    budget: z
      .object({
        maxRate: share('maxRate').describe(
          "Of the policy's requests, at most this share is escalated, and ten more, in each replica of the router. Beyond it the answer at hand is given, or the error.",
        ),
      })
      .optional()
      .describe('What escalation may cost at most.'),
    streaming: z
      .enum(['Auto', 'Buffer', 'Prefix', 'PassThrough'])
      .default('Auto')
      .describe(
        'What a client that streams gets before an answer is judged. Buffer: nothing. Prefix: nothing of its beginning, which is what is judged; then all of it, and nobody else is asked. PassThrough: all of it; only failures before its first word lead to a step. Auto: Buffer with output.labels or output.jsonSchema, else Prefix where a step has a threshold, else PassThrough.',
      ),
  }),
  {
    rule: "!self.steps.exists(step, has(step.confidence)) || 'LowConfidence' in self.when",
    holds: ({ steps, when }) => !steps.some(({ confidence }) => confidence) || when.includes('LowConfidence'),
    message: 'escalation.when must have LowConfidence where a step has a confidence.threshold',
    fieldPath: '.when',
  },
);

/** What of a policy has to agree with how its answers are streamed. */
interface StreamedPolicy {
  output?: { labels?: unknown; jsonSchema?: unknown } | undefined;
  escalation?: z.infer<typeof escalation> | undefined;
}

/** The rule of a policy about how answers are streamed that may be escalated. */
export const streamingRule: Rule<StreamedPolicy> = {
  rule: `!has(self.escalation) || !has(self.output) || !(has(self.output.labels) || has(self.output.jsonSchema)) || self.escalation.streaming in ['Auto', 'Buffer']`,
  holds: ({ escalation: self, output: { labels, jsonSchema } = {} }) =>
    (labels ?? jsonSchema) === undefined || self === undefined || ['Auto', 'Buffer'].includes(self.streaming),
  message:
    'escalation.streaming must be Auto or Buffer with output.labels or output.jsonSchema, as only a whole answer can be judged by them',
  fieldPath: '.escalation',
};
