import { z } from 'zod';
import { withRules } from '../rules.ts';
import { dnsLabel, mapList, text } from '../schema.ts';

/** A weighted choice among backends. */
export const weightedSplit = withRules(
  mapList(
    z.object({
      backend: z.string().min(1).max(63).describe('Name of a backend.'),
      weight: z.int32().min(0).max(1_000_000).describe('Its share, relative to the sum of all weights.'),
    }),
    'backend',
    16,
  ).min(1),
  {
    rule: 'self.exists(entry, entry.weight > 0)',
    holds: (self) => self.some(({ weight }) => weight > 0),
    message: 'split needs at least one weight above 0',
  },
);

/** Forms of an answer that a request may ask for. */
export const responseFormats = ['Text', 'JSONObject', 'JSONSchema'] as const;

const headerName = () =>
  text(
    64,
    '^[a-z0-9][-a-z0-9_]*$',
    'must be the name of a header in lower case: letters, digits, "-" and "_", with a letter or digit first',
  );

const tokens = () => z.int().min(0).max(10_000_000);

const when = withRules(
  z.object({
    headers: mapList(
      z.object({
        name: headerName().describe('Name of the header.'),
        value: z.string().max(256).optional().describe('Its value, exactly. Absent: any.'),
      }),
      'name',
      8,
    )
      .optional()
      .describe('Headers that the request must have.'),
    metadata: mapList(
      z.object({
        key: z.string().min(1).max(64).describe("Key in the request's metadata."),
        value: z.string().max(512).describe('Its value, exactly.'),
      }),
      'key',
      8,
    )
      .optional()
      .describe("What the request's field metadata must hold."),
    promptTokens: withRules(
      z.object({
        min: tokens().optional().describe('At least so many.'),
        max: tokens().optional().describe('At most so many.'),
      }),
      {
        rule: '(has(self.min) || has(self.max)) && (!has(self.min) || !has(self.max) || self.min <= self.max)',
        holds: ({ min, max }) =>
          (min !== undefined || max !== undefined) && (min === undefined || max === undefined || min <= max),
        message: 'promptTokens needs min or max, and min must not be above max',
      },
    )
      .optional()
      .describe('Size of the prompt, estimated before any tokenizer: a token for each four bytes of its text.'),
    tools: z.boolean().optional().describe('true: the request offers tools; false: it offers none.'),
    images: z.boolean().optional().describe('true: the request has an image; false: it has none.'),
    responseFormat: z
      .enum(responseFormats)
      .optional()
      .describe('Form of answer that the request asks for. None: Text.'),
  }),
  {
    rule: 'has(self.headers) || has(self.metadata) || has(self.promptTokens) || has(self.tools) || has(self.images) || has(self.responseFormat)',
    holds: (self) => Object.values(self).some((condition) => condition !== undefined),
    message: 'when needs at least one condition',
  },
);

/** A split of its own for some requests. */
export const trafficRule = z.object({
  name: dnsLabel().describe('Says in logs which rule it was.'),
  when: when.describe('All of these must hold.'),
  split: weightedSplit.describe('Weighted choice among backends for these requests.'),
});

/** Requests that belong together go to one backend. */
export const stickiness = withRules(
  z.object({
    by: z
      .enum(['User', 'Header', 'Conversation'])
      .describe(
        "User: the request's user, or safety_identifier. Header: the value of a header. Conversation: how the chat began, up to its first message of the user.",
      ),
    header: headerName().optional().describe('With by: Header, the name of the header.'),
  }),
  {
    rule: "(self.by == 'Header') == has(self.header)",
    holds: ({ by, header }) => (by === 'Header') === (header !== undefined),
    message: 'sticky.header is required with by: Header, and for it only',
    fieldPath: '.header',
  },
);
