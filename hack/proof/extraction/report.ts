import type { Proportion } from '../../../quality/interval.ts';
import type { ExtractionFigures } from './score.ts';
import { fieldNames } from './task.ts';

/** What was measured, and on what. */
export interface ExtractionReport {
  split: 'validation' | 'test';
  /** e.g. `0.7.0` */
  llamaServer: string;
  /** SHA-256 of the weights and of the adapter. */
  model: string;
  adapter?: string;
  /** By who answered, and whether the schema was a grammar, e.g. `specialist, schema`. */
  figures: Record<string, ExtractionFigures>;
}

const rows: [string, (figures: ExtractionFigures) => string][] = [
  ['messages', ({ valid }) => String(valid.n)],
  ['valid JSON', ({ valid }) => percent(valid)],
  ['whole record', ({ records }) => percent(records)],
  ...fieldNames.map((name): (typeof rows)[number] => [`\`${name}\``, ({ fields }) => percent(fields[name])]),
  ['wrong records, the most confident 90 %', ({ recordRisk }) => percent(recordRisk?.riskAt['90'])],
  ['wrong records, the most confident 70 %', ({ recordRisk }) => percent(recordRisk?.riskAt['70'])],
  ['wrong records, the most confident 50 %', ({ recordRisk }) => percent(recordRisk?.riskAt['50'])],
  ['tokens of prompt and answer', (figures) => tokens(figures)],
];

/** The figures as a table in Markdown: shares in percent with their 95 % Wilson intervals. */
export function reportTable({ figures }: ExtractionReport): string {
  const names = Object.keys(figures);
  return [
    `| | ${names.join(' | ')} |`,
    `| --- |${' ---: |'.repeat(names.length)}`,
    ...rows.map(([row, cell]) => `| ${row} | ${Object.values(figures).map(cell).join(' | ')} |`),
  ].join('\n');
}

const [begin, end] = ['<!-- figures -->\n', '\n<!-- end of figures -->'];

/** A model card whose table of figures is that of the report. */
export function withFigures(card: string, report: ExtractionReport): string {
  const [before, rest] = card.split(begin);
  const after = rest?.split(end)[1];
  if (before === undefined || after === undefined) throw new Error(`the card has no ${begin.trim()} … ${end.trim()}`);
  return `${before}${begin}\n${reportTable(report)}\n${end}${after}`;
}

function percent(share: Proportion | undefined): string {
  if (!share) return '—';
  const [value, low, high] = [share.value, share.low, share.high].map((part) => (part * 100).toFixed(1));
  return `${value} (${low}–${high})`;
}

function tokens({ meanPromptTokens, meanCompletionTokens }: ExtractionFigures): string {
  return meanPromptTokens === 0 ? '—' : `${meanPromptTokens.toFixed(0)} + ${meanCompletionTokens.toFixed(0)}`;
}
