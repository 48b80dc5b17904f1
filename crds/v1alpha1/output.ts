import { z } from 'zod';
import { withRules } from '../rules.ts';
import { mapList, preserveUnknown, setList, text } from '../schema.ts';

/** With more, the rules about tokens and groups would cost the API server too much. */
const maxLabels = 500;

// Spaces at either end would be lost in an answer, and control characters can't be part of one line.
const labelPattern = '^[^\\p{Cc}\\p{Z}]([^\\p{Cc}\\p{Zl}\\p{Zp}]*[^\\p{Cc}\\p{Z}])?$';

// One space, or none, and then what no tokenizer divides.
const tokenPattern = '^ ?[^\\p{Cc}\\p{Z}]+$';

const label = z.object({
  name: text(
    128,
    labelPattern,
    'a label must have no control characters or line breaks, and no space at either end',
  ).describe('The label, as it is answered.'),
  token: text(
    64,
    tokenPattern,
    'token must be one token as the model says it: no white space but for one space at its beginning',
  )
    .optional()
    .describe(
      'The one token that models with task: Classification were trained to say for this label, in quotes: " card". Default: the tokens that its name begins with. Other models and providers say names.',
    ),
});

const group = z.object({
  name: text(
    128,
    labelPattern,
    'the name of a group must have no control characters or line breaks, and no space at either end',
  ).describe('The name of the group, as it is answered.'),
  labels: setList(z.string().min(1).max(128), 200).min(1).describe('Names of its labels.'),
});

const temperaturePattern = '^[0-9]{1,2}([.][0-9]{1,4})?$';

/** What answers look like: the labels that there are, or the schema of a JSON document. */
export const output = withRules(
  z.object({
    labels: withRules(mapList(label, 'name', maxLabels).min(2), {
      rule: '[self.filter(label, has(label.token)).map(label, label.token)].all(tokens, tokens.all(token, tokens.indexOf(token) == tokens.lastIndexOf(token)))',
      holds: (self) => isUnique(self.flatMap(({ token }) => token ?? [])),
      message: 'output.labels must each have a token of its own',
    })
      .optional()
      .describe('The only answers there are. The one with the highest probability is given.'),
    groups: mapList(group, 'name', 50)
      .min(2)
      .optional()
      .describe(
        'Sums the probabilities of labels, and answers with the name of the likeliest group. Each label is in exactly one.',
      ),
    temperature: withRules(z.string().max(7), {
      rule: `self.matches(r'${temperaturePattern}') && double(self) >= 0.1 && double(self) <= 10.0`,
      holds: (self) => new RegExp(temperaturePattern).test(self) && Number(self) >= 0.1 && Number(self) <= 10,
      message: 'temperature must be a decimal number from 0.1 to 10 in quotes, such as "1.4"',
      pattern: temperaturePattern,
    })
      .optional()
      .describe(
        'Calibrates the confidence: probabilities p become p^(1/temperature), renormalised. Above 1 for models that are too sure, as fitted on messages that they were not trained on. Default: 1.',
      ),
    jsonSchema: preserveUnknown()
      .optional()
      .describe(
        'JSON Schema (draft 7, or 2020-12 where $schema says so) of the documents that answers are. An answer that is not valid is none: the next backend is asked. Confidence is the least of its required fields, or of all where none is required. Formats are not checked, and $ref reaches nothing outside of the schema. At most 32 KiB.',
      ),
  }),
  {
    rule: '!has(self.jsonSchema) || !has(self.labels)',
    holds: ({ jsonSchema, labels }) => jsonSchema === undefined || labels === undefined,
    message: 'output needs one of labels and jsonSchema: an answer is a label or a JSON document',
    fieldPath: '.jsonSchema',
  },
  {
    rule: '!has(self.groups) || has(self.labels)',
    holds: ({ groups, labels }) => groups === undefined || labels !== undefined,
    message: 'output.groups needs output.labels, which it divides into groups',
    fieldPath: '.groups',
  },
  {
    rule: '!has(self.temperature) || has(self.labels)',
    holds: ({ temperature, labels }) => temperature === undefined || labels !== undefined,
    message: 'output.temperature needs output.labels, whose probabilities it calibrates',
    fieldPath: '.temperature',
  },
  {
    // Each label in one group, and no more names than labels: then no group has a name that is none.
    rule: '!has(self.groups) || !has(self.labels) || (self.groups.map(group, group.labels.size()).sum() == self.labels.size() && self.labels.all(label, self.groups.exists_one(group, label.name in group.labels)))',
    holds: ({ groups, labels }) => groups === undefined || labels === undefined || divides(groups, labels),
    message: 'output.groups must name each of output.labels exactly once, and nothing else',
    fieldPath: '.groups',
  },
);

function isUnique(values: readonly string[]): boolean {
  return new Set(values).size === values.length;
}

function divides(groups: readonly z.infer<typeof group>[], labels: readonly z.infer<typeof label>[]): boolean {
  const grouped = groups.flatMap((one) => one.labels);
  const names = new Set(labels.map(({ name }) => name));
  return grouped.length === names.size && isUnique(grouped) && grouped.every((name) => names.has(name));
}
