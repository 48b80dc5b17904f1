import { z } from 'zod';
import { withRules } from '../rules.ts';

const dollarsPattern = '^[0-9]{1,4}([.][0-9]{1,4})?$';

/** Dollars for a million tokens, in quotes. */
const dollars = (name: string) =>
  withRules(z.string().max(16), {
    rule: `self.matches(r'${dollarsPattern}')`,
    holds: (self) => new RegExp(dollarsPattern).test(self),
    message: `${name} must be dollars for a million tokens in quotes, with at most four decimals, such as "2.00"`,
    pattern: dollarsPattern,
  });

const datePattern = '^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$';

/** What the tokens of a backend cost. */
export const price = z.object({
  inputPerMillion: dollars('inputPerMillion').describe('Dollars for a million tokens of prompts.'),
  outputPerMillion: dollars('outputPerMillion').describe(
    'Dollars for a million tokens of answers, reasoning included.',
  ),
  cachedInputPerMillion: dollars('cachedInputPerMillion')
    .optional()
    .describe(
      "Dollars for a million tokens of prompts that were read from the provider's cache. Default: inputPerMillion.",
    ),
  cacheWritePerMillion: dollars('cacheWritePerMillion')
    .optional()
    .describe(
      "Dollars for a million tokens of prompts that were written to the provider's cache. Default: inputPerMillion.",
    ),
  effective: withRules(z.string().max(10), {
    rule: `self.matches(r'${datePattern}')`,
    holds: (self) => new RegExp(datePattern).test(self),
    message: 'effective must be a date such as "2026-10-07"',
    pattern: datePattern,
  })
    .optional()
    .describe('Since when these prices are so: for people who ask where a figure comes from.'),
});
