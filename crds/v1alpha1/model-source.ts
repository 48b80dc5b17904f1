import { z } from 'zod';
import { maxClaimLength, maxModelUriLength, modelUriMessages, modelUriPatterns } from '../model-uri.ts';
import { type Rule, withRules } from '../rules.ts';
import { objectName, secretKeyRefOr, text } from '../schema.ts';

/** The field of the spec that says where something is: the weights, or the adapter. */
export type SourceField = 'model' | 'model.adapter';

const schemes = ['pvc', 'hf', 'https'] as const;
type Messages = ReturnType<typeof modelUriMessages>;
const uriForm = (scheme: (typeof schemes)[number], messages: Messages): Rule<string> => ({
  rule: `!self.startsWith('${scheme}://') || self.matches(r'${modelUriPatterns[scheme]}')`,
  holds: (self) => !self.startsWith(`${scheme}://`) || new RegExp(modelUriPatterns[scheme]).test(self),
  message: messages[scheme],
});

function sourceUri(field: SourceField) {
  const messages = modelUriMessages(`${field}.uri`);
  return withRules(
    z.string().min(1).max(maxModelUriLength),
    {
      rule: `self.startsWith('pvc://') || self.startsWith('hf://') || self.startsWith('https://')`,
      holds: (self) => schemes.some((scheme) => self.startsWith(`${scheme}://`)),
      message: messages.scheme,
    },
    ...schemes.map((scheme) => uriForm(scheme, messages)),
    {
      rule: `!self.startsWith('pvc://') || self.indexOf('/', 6) <= 6 + ${maxClaimLength}`,
      holds: (self) => !self.startsWith('pvc://') || self.indexOf('/', 6) <= 6 + maxClaimLength,
      message: messages.claim,
    },
  );
}

const commit = /^[0-9a-f]{40}$/;
const partOfSeveral = /-[0-9]{5}-of-[0-9]{5}\.gguf$/;

/** What weights and adapters have in common. */
const sourceFields = (field: SourceField, words: { uri: string; file: string }) => ({
  uri: sourceUri(field).describe(words.uri),
  revision: text(
    255,
    '^[A-Za-z0-9][A-Za-z0-9_-]*([./][A-Za-z0-9_-]+)*$',
    `${field}.revision must be a commit, branch or tag: letters, digits, "-", "_", and single "." and "/" between them`,
  )
    .optional()
    .describe('hf: the commit (40 hexadecimal digits), or with allowMutable a branch or tag.'),
  allowMutable: z
    .boolean()
    .optional()
    .describe(
      "hf: allows a branch or tag as revision, whose content may change; without a revision the repository's main branch.",
    ),
  sha256: text(
    64,
    '^[0-9a-f]{64}$',
    `${field}.sha256 must be 64 lower-case hexadecimal digits, as sha256sum prints them`,
  )
    .optional()
    .describe(`SHA-256 of ${words.file}, verified before the engine may start. Required for https.`),
  credentials: secretKeyRefOr('token')
    .optional()
    .describe(
      'Secret with a bearer token for the download; given to the loader only, never to the engine. For https the Secret must carry the annotation cadre.dev/hosts with the host, as HOST (any port) or HOST:PORT.',
    ),
});

interface Source {
  uri: string;
  revision?: string | undefined;
  allowMutable?: boolean | undefined;
  sha256?: string | undefined;
  credentials?: object | undefined;
}

/** What is right for one kind of source and wrong for another. */
const sourceRules = (field: SourceField): Rule<Source>[] => [
  {
    rule: `self.uri.startsWith('hf://') || !has(self.revision)`,
    holds: ({ uri, revision }) => uri.startsWith('hf://') || revision === undefined,
    message: `${field}.revision is for hf:// only; remove it`,
    fieldPath: '.revision',
  },
  {
    rule: `self.uri.startsWith('hf://') || !has(self.allowMutable)`,
    holds: ({ uri, allowMutable }) => uri.startsWith('hf://') || allowMutable === undefined,
    message: `${field}.allowMutable is for hf:// only; remove it`,
    fieldPath: '.allowMutable',
  },
  {
    rule: `!self.uri.startsWith('hf://') || (has(self.allowMutable) && self.allowMutable) || (has(self.revision) && self.revision.matches(r'${commit.source}'))`,
    holds: ({ uri, allowMutable, revision }) =>
      !uri.startsWith('hf://') || allowMutable === true || (revision !== undefined && commit.test(revision)),
    message: `${field}.revision must be a commit of 40 lower-case hexadecimal digits, so that every replica runs the same weights; for a branch or tag set ${field}.allowMutable: true`,
    fieldPath: '.revision',
  },
  {
    rule: `!self.uri.startsWith('https://') || has(self.sha256)`,
    holds: ({ uri, sha256 }) => !uri.startsWith('https://') || sha256 !== undefined,
    message: `${field}.sha256 is required with https://: the SHA-256 of the file, as sha256sum prints it`,
    fieldPath: '.sha256',
  },
  {
    rule: `!self.uri.startsWith('pvc://') || !has(self.credentials)`,
    holds: ({ uri, credentials }) => !uri.startsWith('pvc://') || credentials === undefined,
    message: `${field}.credentials are for downloads, hf:// and https://; remove them`,
    fieldPath: '.credentials',
  },
];

const adapter = withRules(
  z.object(
    sourceFields('model.adapter', {
      uri: 'Where the adapter is: pvc://CLAIM/PATH, hf://OWNER/REPO[/FILE] or https://HOST/PATH. For LlamaCpp it names one GGUF file, as convert_lora_to_gguf.py writes it; for VLLM a folder or repository as PEFT writes it.',
      file: "the adapter's one file",
    }),
  ),
  ...sourceRules('model.adapter'),
  {
    rule: `!self.uri.matches(r'${partOfSeveral.source}')`,
    holds: ({ uri }) => !partOfSeveral.test(uri),
    message: 'model.adapter.uri names one part of a GGUF in several parts, and an adapter is one file',
    fieldPath: '.uri',
  },
  {
    rule: `!self.uri.contains(',')`,
    holds: ({ uri }) => !uri.includes(','),
    message: 'model.adapter.uri must not have a ",", at which llama-server would divide it; rename the file',
    fieldPath: '.uri',
  },
);

const promptTemplate = z.object({
  configMap: z
    .object({
      name: objectName().describe('Name of a ConfigMap in the same namespace.'),
      key: text(253, '^[-._a-zA-Z0-9]+$', 'must be a key of a ConfigMap: letters, digits, "-", "_" and "."').describe(
        'Key in the ConfigMap, whose value is the template: a Jinja text of at most 64 KiB.',
      ),
    })
    .describe('Where the text of the template is. When it changes, the change rolls out as any other does.'),
});

/** `spec.model`: everything that is loaded before the engine starts. */
export const modelSource = withRules(
  z.object({
    ...sourceFields('model', {
      uri: 'Where the weights are: pvc://CLAIM/PATH, hf://OWNER/REPO[/FILE] or https://HOST/PATH. For LlamaCpp it names one GGUF file; for VLLM a folder or repository.',
      file: 'the one model file',
    }),
    cache: z
      .object({ claimName: objectName().describe('A ReadWriteMany PersistentVolumeClaim in the same namespace.') })
      .optional()
      .describe('Keeps what is downloaded in a claim shared by all replicas, written once under a lock.'),
    adapter: adapter
      .optional()
      .describe('A LoRA adapter of these weights, applied when the engine starts. All requests are answered with it.'),
    promptTemplate: promptTemplate
      .optional()
      .describe(
        "The template by which the engine makes a prompt of a chat, in place of the model's own: what was trained on short prompts wants short prompts.",
      ),
  }),
  ...sourceRules('model'),
  {
    rule: `!self.uri.startsWith('pvc://') || !has(self.cache)`,
    holds: ({ uri, cache }) => !uri.startsWith('pvc://') || cache === undefined,
    message: 'model.cache is for downloads, hf:// and https://; a claim needs none: remove it',
    fieldPath: '.cache',
  },
  {
    rule: `!self.uri.startsWith('https://') || !self.uri.matches(r'${partOfSeveral.source}')`,
    holds: ({ uri }) => !uri.startsWith('https://') || !partOfSeveral.test(uri),
    message:
      'model.uri names one part of a GGUF in several parts, and https:// is one file: join them with llama-gguf-split --merge',
    fieldPath: '.uri',
  },
  {
    rule: `!has(self.sha256) || !self.uri.matches(r'${partOfSeveral.source}')`,
    holds: ({ uri, sha256 }) => sha256 === undefined || !partOfSeveral.test(uri),
    message:
      'model.sha256 is of one file, and model.uri names a GGUF in several parts: remove it, or join them with llama-gguf-split --merge',
    fieldPath: '.sha256',
  },
).describe('The weights, and what goes with them.');

/** Where weights or an adapter come from. */
export type ModelSourceSpec = z.infer<typeof modelSource>;
export type AdapterSpec = z.infer<typeof adapter>;
