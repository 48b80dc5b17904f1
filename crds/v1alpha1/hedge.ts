import { z } from 'zod';
import { duration, share } from '../schema.ts';

/** When a second attempt is made beside a first one that is slow. */
export const hedge = z.object({
  after: duration().describe('How long a first byte may take until somebody else is asked as well.'),
  maxRate: share('maxRate')
    .default('0.05')
    .describe(
      "Of the policy's requests, at most this share is asked twice, and ten more, in each replica of the router.",
    ),
});
