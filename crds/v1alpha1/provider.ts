import { z } from 'zod';
import { withRules } from '../rules.ts';
import { secretKeyRef, text } from '../schema.ts';
import { hostPattern, portPattern } from '../url-parts.ts';

const providerTypes = ['OpenAI', 'Anthropic', 'OpenAICompatible'] as const;

const urlSegment = '([A-Za-z0-9_~@:+=,-]|\\.[A-Za-z0-9_~@:+=,-])[A-Za-z0-9._~@:+=,-]*';

/** An external model, and how it is called. */
export const provider = withRules(
  z.object({
    type: z.enum(providerTypes).describe('The dialect that the provider speaks.'),
    url: text(
      1024,
      `^https://${hostPattern}${portPattern}(/${urlSegment})*$`,
      'provider.url must be https://HOST[:PORT][/PATH] in lower-case host, without user name, query, fragment, "%", ".." or a "/" at its end',
    )
      .optional()
      .describe('OpenAICompatible: the base URL, as an OpenAI client takes it, e.g. https://api.example.com/v1.'),
    model: z.string().min(1).max(256).describe("The provider's name of the model."),
    maxTokens: z
      .int32()
      .min(1)
      .max(1_000_000)
      .optional()
      .describe(
        'Anthropic: the most tokens of an answer where the request sets no limit, as Anthropic demands one; 4096 unless it is set. What the model thinks counts, too.',
      ),
    apiKey: secretKeyRef()
      .optional()
      .describe(
        'Secret with the API key. For OpenAICompatible the Secret must carry the annotation cadre.dev/hosts with the host, as HOST (any port) or HOST:PORT.',
      ),
  }),
  {
    rule: `self.type == 'OpenAICompatible' || !has(self.url)`,
    holds: ({ type, url }) => type === 'OpenAICompatible' || url === undefined,
    message: 'provider.url is for provider.type OpenAICompatible only; remove it, or change the type',
    fieldPath: '.url',
  },
  {
    rule: `self.type != 'OpenAICompatible' || has(self.url)`,
    holds: ({ type, url }) => type !== 'OpenAICompatible' || url !== undefined,
    message: 'provider.url is required with provider.type OpenAICompatible, e.g. https://api.example.com/v1',
    fieldPath: '.url',
  },
  {
    rule: `self.type == 'OpenAICompatible' || has(self.apiKey)`,
    holds: ({ type, apiKey }) => type === 'OpenAICompatible' || apiKey !== undefined,
    message: 'provider.apiKey is required with provider.type OpenAI and Anthropic: the Secret with the API key',
    fieldPath: '.apiKey',
  },
  {
    rule: `self.type == 'Anthropic' || !has(self.maxTokens)`,
    holds: ({ type, maxTokens }) => type === 'Anthropic' || maxTokens === undefined,
    message:
      'provider.maxTokens is for provider.type Anthropic only, which demands a limit; remove it, or change the type',
    fieldPath: '.maxTokens',
  },
);
