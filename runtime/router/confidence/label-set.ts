import type { Route, RouteBackend } from '../../../crds/route-table.ts';
import { type CompiledLabels, compileLabels, type SpokenLabel } from './label-probabilities.ts';

/** What to ask a model so that the label can be told. */
export interface LabelQuestion {
  /** What it may say: exactly these tokens, or one of these names, a space before it or none. */
  readonly tokens: readonly string[];
  readonly names: readonly string[];
  /** The answer to its end; else its first token is enough. */
  readonly whole: boolean;
  /** Ask for log-probabilities. */
  readonly scored: boolean;
}

/** The labels as some models say them. */
export interface SpokenLabels {
  readonly compiled: CompiledLabels;
  readonly labels: readonly SpokenLabel[];
  /** Index in `LabelSet.answers`, by label. */
  readonly answerOf: Int32Array;
  /** Index of the label that a text is, white space at either end left out. */
  readonly byText: ReadonlyMap<string, number>;
  /** The same for texts that stand for a label without being said as it is. */
  readonly aliases: ReadonlyMap<string, number>;
  /** What to ask first. */
  readonly first: LabelQuestion;
  /** The question to which any label is a whole answer, held to the set. */
  readonly whole: LabelQuestion;
}

/** The only answers that a policy allows. */
export interface LabelSet {
  /** Names of the labels, or of the groups where there are any. */
  readonly answers: readonly string[];
  readonly temperature: number;
  /** A model's probabilities of the labels are those of the answers as they are. */
  readonly isPlain: boolean;
  /** As models say them that were trained for these labels: their tokens. */
  readonly trained: SpokenLabels;
  /** As any other model says them: the names of the answers. */
  readonly named: SpokenLabels;
}

/** Prepares the labels of a route; undefined where it has none. */
export function labelSet({ labels, tokens = [], groups, temperature = 1 }: Route['output']): LabelSet | undefined {
  if (!labels) return undefined;
  const answers = groups ? groups.map(({ name }) => name) : labels;
  const answerOf = new Map<string, number>(
    groups
      ? groups.flatMap(({ labels: own }, index) => own.map((name) => [name, index] as const))
      : labels.map((name, index) => [name, index] as const),
  );
  const tokenOf = new Map(tokens.map(({ label, token }) => [label, token]));
  const trained = spokenLabels(
    labels.map((name) => ({ name, token: tokenOf.get(name) })),
    labels.map((name) => answerOf.get(name) ?? 0),
    new Map(),
  );
  // A group is an answer; one that names a label of it instead has answered, too.
  const named =
    groups || tokens.length > 0
      ? spokenLabels(
          answers.map((name) => ({ name })),
          [...answers.keys()],
          answerOf,
        )
      : trained;
  return { answers, temperature, isPlain: !groups && temperature === 1, trained, named };
}

/** How this backend says the labels: only a model for classification was trained to say their tokens. */
export function spokenBy(set: LabelSet, backend: RouteBackend): SpokenLabels {
  return backend.kind === 'Model' && backend.task === 'Classification' ? set.trained : set.named;
}

/** The same question about some of the labels only (by index), to the end of the answer. */
export function questionAmong({ labels }: SpokenLabels, among: readonly number[]): LabelQuestion {
  return questionOf(
    among.map((index) => labels[index] as SpokenLabel),
    true,
  );
}

function spokenLabels(
  labels: readonly SpokenLabel[],
  answers: readonly number[],
  aliases: ReadonlyMap<string, number>,
): SpokenLabels {
  const compiled = compileLabels(labels);
  const byText = new Map<string, number>();
  for (const [index, { name, token }] of labels.entries()) byText.set(token?.trim() ?? name, index);
  // A name where no token is the same text: also a model that says tokens may have been told the names.
  for (const [index, { name }] of labels.entries()) if (!byText.has(name)) byText.set(name, index);
  const whole = questionOf(labels, true);
  const first = shareFirstWord(compiled.names) ? whole : questionOf(labels, false);
  return { compiled, labels, answerOf: Int32Array.from(answers), byText, aliases, first, whole };
}

function questionOf(labels: readonly SpokenLabel[], whole: boolean): LabelQuestion {
  const tokens = labels.flatMap(({ token }) => token ?? []);
  const names = labels.flatMap(({ name, token }) => (token === undefined ? name : []));
  return { tokens, names, whole, scored: true };
}

/** Whether the first word of a name begins another name, so that the first token will hardly tell them apart. */
function shareFirstWord(sorted: readonly string[]): boolean {
  return sorted.some((name, at) => {
    const word = /^[\p{L}\p{N}]+/u.exec(name)?.[0];
    return word !== undefined && (sorted[at + 1] ?? '').startsWith(word) && !isLongerWord(sorted[at + 1] ?? '', word);
  });
}

function isLongerWord(name: string, word: string): boolean {
  return /^[\p{L}\p{N}]/u.test(name.slice(word.length));
}
