import { z } from 'zod';
import { duration, quantity } from '../schema.ts';

/** From the first to be let in to the last. */
export const priorities = ['High', 'Normal', 'Low'] as const;
export type Priority = (typeof priorities)[number];

export const queue = z.object({
  maxRequests: z
    .int32()
    .min(1)
    .max(100_000)
    .default(100)
    .describe('How many requests of this policy may wait, in each replica of the router.'),
  maxBytes: quantity().default('64Mi').describe('How large their bodies may be, together.'),
  maxWait: duration().default('5s').describe('How long each may wait. timeouts.total holds too.'),
  onDeadline: z
    .enum(['Escalate', 'Reject'])
    .default('Escalate')
    .describe(
      'What becomes of one that has waited for so long. Escalate: it goes on to the next backend, by escalation or fallback. Reject: it gets 429. One that finds the queue full goes on to the next backend in either case.',
    ),
});
