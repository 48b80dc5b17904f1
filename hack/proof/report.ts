import type { Proportion } from '../../quality/interval.ts';
import type { Comparison, ContenderFigures, Question } from './figures.ts';
import type { PromptTrial } from './measure.ts';

/** Everything that a run of `make proof` measured, as `figures.json` keeps it. */
export interface ProofFigures {
  /** Day of the run, e.g. `2026-11-25`. */
  date: string;
  command: string;
  machine: string;
  versions: Record<string, string>;
  /** SHA-256 of the specialist's adapter. */
  adapter: string;
  messages: { train: number; validation: number; test: number };
  /** How many labels each question has. */
  labels: Record<Question, number>;
  /** The C that validation chose for each yardstick. Without one of queues, those are sums over intents. */
  yardstick: { c: { intents: number; queues?: number }; trainingCpuSeconds: number };
  /** The prompts that were tried with models that were not trained for the task. */
  prompts: PromptTrial[];
  contenders: ContenderFigures[];
  comparisons: Comparison[];
}

const headings: Record<Question, string> = { queues: 'queues', intents: 'intents' };

/** The page that shows the figures; the plots lie beside it. */
export function reportPage(figures: ProofFigures): string {
  const { messages, labels } = figures;
  return `${[
    '# What was measured',
    '',
    `<!-- Written by \`${figures.command}\` from figures.json. -->`,
    '',
    `Which of ${labels.queues} queues, and which of ${labels.intents} intents, has a bank customer's message? Asked about ${thousands(messages.test)} messages that no model`,
    'was trained on and that no choice was made by. Every figure below is of them, with its 95 % Wilson interval.',
    '',
    '## Accuracy',
    '',
    '![Right answers of each model, with 95 % intervals](accuracy.svg)',
    '',
    ...accuracyTable(figures),
    '',
    ...figures.comparisons.map((one) => `- ${comparisonSentence(one, figures)}`),
    '',
    '## Calibration',
    '',
    '![Confidence against right answers, before and after the temperature](reliability.svg)',
    '',
    'The confidence is the probability of the answer among the labels. One temperature is fitted on the validation messages.',
    '',
    ...calibrationTable(figures),
    '',
    ...miscalibrated(figures),
    '## Answering only when sure',
    '',
    '![Wrong answers among the most confident share of the messages](risk-coverage.svg)',
    '',
    'Wrong answers where only the most confident share of the messages is answered, after the temperature:',
    '',
    ...riskTable(figures),
    '',
    '## Escalating the rest',
    '',
    '![Right answers over the escalated share](hybrid.svg)',
    '',
    'Here the least confident messages go to a bigger model, which **is assumed**, not measured: right in 88 % or in 95 % of what',
    'it gets, whatever that is. What is hard for one model tends to be hard for another, so a real one does less well on it.',
    '',
    ...hybridTable(figures),
    '',
    'Beyond the best share every further message that is given away costs accuracy: the specialist is better at what it would give',
    'away next. From the share in the last column on, the whole is worse than the specialist alone.',
    '',
    '## How it was measured',
    '',
    ...method(figures),
  ].join('\n')}\n`;
}

function of(figures: ProofFigures, question: Question): ContenderFigures[] {
  return figures.contenders.filter((one) => one.question === question);
}

function accuracyTable(figures: ProofFigures): string[] {
  const keys = [...new Set(figures.contenders.map(({ key }) => key))];
  const rows = keys.map((key) => {
    const same = figures.contenders.filter((one) => one.key === key);
    const cell = (question: Question): string => {
      const found = same.find((one) => one.question === question);
      return found ? share(found.accuracy, figures.messages.test) : '';
    };
    const cost = same.find((one) => one.cost)?.cost;
    const tokens = cost?.tokens;
    return [
      same[0]?.name ?? key,
      cell('queues'),
      cell('intents'),
      cost ? milliseconds(cost.medianMilliseconds) : '',
      tokens ? `${tokens.prompt.toFixed(0)} + ${tokens.completion.toFixed(0)}` : cost ? 'none' : '',
    ];
  });
  const { queues, intents } = figures.labels;
  return table(['', `${queues} queues`, `${intents} intents`, 'ms a message', 'tokens in + out'], rows);
}

function calibrationTable(figures: ProofFigures): string[] {
  const rows = (['queues', 'intents'] as const).flatMap((question) =>
    of(figures, question).map(({ name, temperature, calibrationError, negativeLogLikelihood }) => [
      name,
      headings[question],
      temperature.toFixed(2),
      `${percent(calibrationError.raw)} → ${percent(calibrationError.tempered)}`,
      `${negativeLogLikelihood.raw.toFixed(3)} → ${negativeLogLikelihood.tempered.toFixed(3)}`,
    ]),
  );
  return table(['', '', 'temperature', 'ECE, 15 bins', 'NLL, nats'], rows);
}

/** Says where the temperature did not help on test messages: there is noise in what validation says. */
function miscalibrated({ contenders }: ProofFigures): string[] {
  const worse = contenders.filter(({ calibrationError: { raw, tempered } }) => tempered > raw);
  if (worse.length === 0) return [];
  const names = worse.map(({ name, question }) => `${name} (${headings[question]})`);
  return [`On these test messages the temperature does not lower the calibration error of: ${names.join(', ')}.`, ''];
}

function riskTable(figures: ProofFigures): string[] {
  const rows = (['queues', 'intents'] as const).flatMap((question) =>
    of(figures, question).map(({ name, riskAtCoverage, areaUnderRiskCoverage }) => [
      name,
      headings[question],
      share(riskAtCoverage['50']),
      share(riskAtCoverage['70']),
      share(riskAtCoverage['90']),
      percent(areaUnderRiskCoverage),
    ]),
  );
  return table(['', '', 'at 50 %', 'at 70 %', 'at 90 %', 'AURC'], rows);
}

/** What each comparison says, in a sentence. */
export function comparisonSentence(one: Comparison, figures: ProofFigures): string {
  const name = (key: string): string =>
    figures.contenders.find((contender) => contender.key === key && contender.question === one.question)?.name ?? key;
  const verdict = one.p < 0.05 ? 'a difference' : 'no significant difference';
  return (
    `${capitalised(headings[one.question])}, ${name(one.first)} against ${name(one.second)}: only the former is right on ${one.onlyFirst} of ` +
    `${thousands(one.n)} messages, only the latter on ${one.onlySecond}: ${verdict} (McNemar's exact test, ${pValue(one.p)}).`
  );
}

function hybridTable(figures: ProofFigures): string[] {
  const rows = (['queues', 'intents'] as const).flatMap((question) =>
    of(figures, question)
      .filter(({ key }) => key === 'specialist')
      .flatMap(({ accuracy, hybrid }) =>
        hybrid.map(({ assumedAccuracy, best, worseFrom }) => [
          question,
          percent(assumedAccuracy, 0),
          percent(accuracy.value),
          percent(best.accuracy),
          percent(best.escalated, 0),
          worseFrom === undefined ? 'never' : percent(worseFrom, 0),
        ]),
      ),
  );
  return table(['', 'assumed', 'specialist alone', 'best', 'escalated at best', 'worse than alone from'], rows);
}

function method(figures: ProofFigures): string[] {
  const { messages, yardstick, prompts, machine, date, command, versions } = figures;
  const prompted = prompts.map(
    ({ model, prompt, right, chosen }) =>
      `  - ${model}, ${prompt}: ${share(right)} of ${right.n} validation messages${chosen ? ', chosen' : ''}`,
  );
  return [
    `- \`${command}\` on ${date}, on ${machine}; ${Object.entries(versions)
      .map(([name, version]) => `${name} ${version}`)
      .join(', ')}. Adapter: SHA-256 \`${figures.adapter}\`.`,
    `- Messages: banking77's public training part, divided by a hash of the text into ${thousands(messages.train)} for training, ${thousands(messages.validation)} for`,
    `  validation and ${thousands(messages.test)} for test. All come from one bank's customers, in good English, and each has an intent: what is`,
    '  out of scope, or written otherwise, is not measured here.',
    '- Every model is asked for one token by a real llama-server (one thread), and scored by the code that the router runs: the',
    '  probabilities of the tokens that stand for labels, made to sum to 1. Queues of the specialist are sums over their intents.',
    `- TF-IDF with logistic regression learns from the same messages, in ${yardstick.trainingCpuSeconds.toFixed(0)} CPU seconds; validation chooses its C = ${yardstick.c.intents}, and its way to queues:`,
    `  ${yardstick.c.queues === undefined ? 'sums over its intents' : `a model of its own, with C = ${yardstick.c.queues}`}.`,
    '- Models that were not trained for this see the queues with a sentence each and examples from the training part. Of the',
    '  prompts that were tried, the one that is best on validation counts:',
    ...prompted,
    '- Time is the median of 100 messages, one after the other. Of a prompt, all but the message itself stays in the engine from',
    '  one message to the next, so that long ones cost little time here; tokens are counted in full.',
  ];
}

/** `95.9 % (94.5–97.0)`, with the number of messages where it is not the usual one. */
function share({ value, low, high, n }: Proportion, usual = n): string {
  const interval = `${percent(value)} (${(low * 100).toFixed(1)}–${(high * 100).toFixed(1)})`;
  return n === usual ? interval : `${interval}, n = ${n}`;
}

function percent(value: number, digits = 1): string {
  return `${(value * 100).toFixed(digits)} %`;
}

function pValue(p: number): string {
  return p < 0.001 ? 'p < 0.001' : `p = ${p.toFixed(p < 0.1 ? 3 : 2)}`;
}

function milliseconds(value: number): string {
  return value < 10 ? value.toFixed(1) : value.toFixed(0);
}

function thousands(count: number): string {
  return count.toLocaleString('en-US');
}

function capitalised(word: string): string {
  return word.charAt(0).toUpperCase() + word.slice(1);
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)];
}
