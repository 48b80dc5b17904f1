import { expectedCalibrationError } from '../../quality/calibration.ts';
import { accuracy, type Proportion } from '../../quality/interval.ts';
import { type Prediction, scoredAnswer } from '../../quality/prediction.ts';
import { riskIntervalAtCoverage } from '../../quality/selective.ts';
import { fitTemperature } from '../../quality/temperature.ts';
import { answersOf } from '../proof/figures.ts';

/** The temperature for each of the two questions, as `temperature.json` has it. */
export interface Temperatures {
  queues: number;
  intents: number;
}

/** What a split of the data says of a served specialist, for one of the questions. Shares are between 0 and 1. */
export interface QuestionFigures {
  accuracy: Proportion;
  calibrationError: { raw: number; tempered: number };
  /** Wrong answers among the most confident 50, 70 and 90 %, after the temperature. */
  riskAtCoverage: Record<'50' | '70' | '90', Proportion>;
}

/** Both questions about a split. */
export type SplitFigures = Record<keyof Temperatures, QuestionFigures>;

/** The temperatures at which validation is most likely; to four digits, for more mean nothing. */
export function temperatures(validation: readonly Prediction[], queueOf: readonly number[]): Temperatures {
  const rounded = (temperature: number): number => Number(temperature.toPrecision(4));
  return { queues: rounded(fitTemperature(validation, queueOf)), intents: rounded(fitTemperature(validation)) };
}

/** The figures of a split, whose predictions are by intents. */
export function splitFigures(
  predictions: readonly Prediction[],
  queueOf: readonly number[],
  at: Temperatures,
): SplitFigures {
  return {
    queues: questionFigures(predictions, at.queues, queueOf),
    intents: questionFigures(predictions, at.intents),
  };
}

function questionFigures(
  predictions: readonly Prediction[],
  temperature: number,
  groupOf?: readonly number[],
): QuestionFigures {
  const raw = answersOf(predictions, 1, groupOf).map(scoredAnswer);
  const tempered = answersOf(predictions, temperature, groupOf).map(scoredAnswer);
  return {
    accuracy: accuracy(tempered),
    calibrationError: { raw: expectedCalibrationError(raw), tempered: expectedCalibrationError(tempered) },
    riskAtCoverage: {
      '50': riskIntervalAtCoverage(tempered, 0.5),
      '70': riskIntervalAtCoverage(tempered, 0.7),
      '90': riskIntervalAtCoverage(tempered, 0.9),
    },
  };
}

/** A table for people, in percent. */
export function figuresTable(splits: Readonly<Record<string, SplitFigures>>): string {
  const columns = Object.entries(splits).flatMap(([split, figures]) =>
    (['queues', 'intents'] as const).map((question) => ({
      title: `${question}, ${split}`,
      figures: figures[question],
    })),
  );
  type Column = (typeof columns)[number];
  const percent = (value: number): string => (value * 100).toFixed(1);
  const share = ({ value, low, high }: Proportion): string => `${percent(value)} (${percent(low)}–${percent(high)})`;
  const rows: [string, (column: Column) => string][] = [
    ['messages', ({ figures }) => String(figures.accuracy.n)],
    ['right, %', ({ figures }) => share(figures.accuracy)],
    ['wrong at 50 % coverage, %', ({ figures }) => share(figures.riskAtCoverage['50'])],
    ['wrong at 70 % coverage, %', ({ figures }) => share(figures.riskAtCoverage['70'])],
    ['wrong at 90 % coverage, %', ({ figures }) => share(figures.riskAtCoverage['90'])],
    [
      'calibration error before, after the temperature',
      ({
        figures: {
          calibrationError: { raw, tempered },
        },
      }) => `${raw.toFixed(3)}, ${tempered.toFixed(3)}`,
    ],
  ];
  return [
    `| | ${columns.map(({ title }) => title).join(' | ')} |`,
    `| --- |${' ---: |'.repeat(columns.length)}`,
    ...rows.map(([name, cell]) => `| ${name} | ${columns.map(cell).join(' | ')} |`),
  ].join('\n');
}
