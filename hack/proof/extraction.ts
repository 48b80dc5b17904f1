import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { cacheDir, type Log } from '../cache.ts';
import { elapsed } from '../command.ts';
import { ensureModels } from '../engines/models.ts';
import { digest, inFile } from './answers.ts';
import { askAll } from './extraction/ask.ts';
import { extractByRules } from './extraction/rules.ts';
import { type Answer, type ExtractionFigures, scoreAnswers } from './extraction/score.ts';
import {
  type ExtractionTask,
  exampleFolder,
  fewShotPrompt,
  type OrderMessage,
  prompt,
  readTask,
} from './extraction/task.ts';
import { serve } from './serve.ts';

/** Figures by who answered and whether the schema was a grammar, e.g. `specialist, schema`. */
export type ExtractionReport = Record<string, ExtractionFigures>;

export interface ExtractionEvaluation {
  /** A LoRA adapter in GGUF; absent: only the base model is asked. */
  adapter?: string | undefined;
  split: 'validation' | 'test';
  /** At most this many messages. */
  limit?: number | undefined;
  /** Of how many messages the base model is asked too: with its examples a prompt has 1,100 tokens, which takes its time. */
  baseLimit?: number;
  log: Log;
}

/**
 * Asks the real llama-server for the records of all messages of a split, with the schema as a grammar and without, and
 * compares. Answers are kept in the cache, so that a run that was interrupted goes on.
 */
export async function evaluateExtraction(options: ExtractionEvaluation): Promise<ExtractionReport> {
  const { adapter, split, limit, baseLimit = 100, log } = options;
  const task = await readTask();
  const messages = task[split].slice(0, limit);
  const report: ExtractionReport = { rules: scoreAnswers(messages, messages.map(answerByRules), task.parse) };
  if (baseLimit > 0) {
    const asPrompt = ({ text }: OrderMessage): string => fewShotPrompt(text, task.shots);
    const some = messages.slice(0, baseLimit);
    Object.assign(report, await askBothWays({ name: 'base', task, messages: some, asPrompt, stop: ['\n'], log }));
  }
  if (adapter !== undefined) {
    const asPrompt = ({ text }: OrderMessage): string => prompt(text);
    Object.assign(report, await askBothWays({ name: 'specialist', adapter, task, messages, asPrompt, log }));
  }
  return report;
}

function answerByRules({ text }: OrderMessage): Answer {
  const began = performance.now();
  const answer = JSON.stringify(extractByRules(text));
  const milliseconds = performance.now() - began;
  return { text: answer, tokens: [], truncated: false, milliseconds, promptTokens: 0, completionTokens: 0 };
}

interface Asked {
  name: string;
  adapter?: string;
  task: ExtractionTask;
  messages: OrderMessage[];
  asPrompt: (message: OrderMessage) => string;
  stop?: string[];
  log: Log;
}

async function askBothWays({ name, adapter, task, messages, asPrompt, stop, log }: Asked): Promise<ExtractionReport> {
  const { smollm2 } = await ensureModels(log);
  await using engine = await serve({ model: smollm2, adapter, log });
  const store = await inFile<Answer>(cacheDir('proof', `extraction-${digest(engine.identity)}.jsonl`));
  const report: ExtractionReport = {};
  for (const way of ['free', 'schema'] as const) {
    const began = Date.now();
    const answers = await askAll(messages.map(asPrompt), {
      baseUrl: engine.url,
      store,
      ...(way === 'schema' ? { schema: task.schema } : {}),
      ...(stop ? { stop } : {}),
      onProgress: (done, asked) => {
        if (done % 50 !== 0 || asked === 0) return;
        const left = Math.round((((Date.now() - began) / asked) * (messages.length - done)) / 1000);
        log(`${name}, ${way}: ${done} of ${messages.length} messages (${elapsed(began)}, about ${left} s left)`);
      },
    });
    report[`${name}, ${way}`] = scoreAnswers(messages, answers, task.parse);
  }
  return report;
}

/** The report as a table, in percent. */
export function reportTable(report: ExtractionReport): string {
  const percent = (value: number): string => (value * 100).toFixed(1);
  const share = ({ value, low, high }: { value: number; low: number; high: number }): string =>
    `${percent(value)} (${percent(low)}–${percent(high)})`;
  const rows: [string, (figures: ExtractionFigures) => string][] = [
    ['valid JSON', ({ valid }) => share(valid)],
    ['whole record', ({ records }) => share(records)],
    ...(['order', 'amount', 'currency', 'date', 'issue'] as const).map(
      (name): [string, (figures: ExtractionFigures) => string] => [`\`${name}\``, ({ fields }) => share(fields[name])],
    ),
    ['record wrong at 90 % coverage', ({ recordRisk }) => share(recordRisk.riskAt['90'] as never)],
    ['record wrong at 70 % coverage', ({ recordRisk }) => share(recordRisk.riskAt['70'] as never)],
    ['ms a message', ({ meanMilliseconds }) => meanMilliseconds.toFixed(0)],
    [
      'tokens a message, in and out',
      ({ meanPromptTokens, meanCompletionTokens }) =>
        `${meanPromptTokens.toFixed(0)} + ${meanCompletionTokens.toFixed(0)}`,
    ],
  ];
  const names = Object.keys(report);
  return [
    `| | ${names.join(' | ')} |`,
    `| --- |${' ---: |'.repeat(names.length)}`,
    ...rows.map(([row, cell]) => `| ${row} | ${Object.values(report).map(cell).join(' | ')} |`),
  ].join('\n');
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      adapter: { type: 'string' },
      split: { type: 'string' },
      limit: { type: 'string' },
      base: { type: 'string', default: '100' },
      out: { type: 'string' },
    },
  });
  const own = join(exampleFolder, 'adapter.gguf');
  const began = Date.now();
  const report = await evaluateExtraction({
    adapter: values.adapter ?? (existsSync(own) ? own : undefined),
    split: values.split === 'validation' ? 'validation' : 'test',
    limit: values.limit === undefined ? undefined : Number(values.limit),
    baseLimit: Number(values.base),
    log: (line) => console.error(`${elapsed(began).padStart(10)}  ${line}`),
  });
  if (values.out !== undefined) await writeFile(values.out, `${JSON.stringify(report, undefined, 2)}\n`);
  console.log(reportTable(report));
}
