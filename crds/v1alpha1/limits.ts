import { z } from 'zod';
import { withRules } from '../rules.ts';

/** What limits are of: each key that may call the policy, or the policy as a whole. */
export const limitSubjects = ['Key', 'Policy'] as const;

/** How much clients may ask of a policy. */
export const limits = withRules(
  z.object({
    requestsPerMinute: z.int32().min(1).optional().describe('In any 60 seconds, at most so many requests are taken.'),
    tokensPerMinute: z
      .int32()
      .min(1)
      .optional()
      .describe(
        'In any 60 seconds, at most so many tokens of prompts and answers, of all backends that were asked. What an answer costs beyond what was foreseen keeps later requests out.',
      ),
    per: z.enum(limitSubjects).default('Policy').describe('Whether each key may have this, or all together.'),
  }),
  {
    rule: 'has(self.requestsPerMinute) || has(self.tokensPerMinute)',
    holds: ({ requestsPerMinute, tokensPerMinute }) => requestsPerMinute !== undefined || tokensPerMinute !== undefined,
    message: 'limits needs requestsPerMinute, tokensPerMinute, or both',
  },
);
