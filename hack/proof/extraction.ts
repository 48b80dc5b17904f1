import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { cacheDir, type Log, sha256File } from '../cache.ts';
import { elapsed } from '../command.ts';
import { ensureLlamaServer } from '../engines/llama-server.ts';
import { ensureModels } from '../engines/models.ts';
import { digest, inFile } from './answers.ts';
import { askAll } from './extraction/ask.ts';
import { type ExtractionReport, reportTable, withFigures } from './extraction/report.ts';
import { extractByRules } from './extraction/rules.ts';
import { type Answer, scoreAnswers } from './extraction/score.ts';
import {
  type ExtractionTask,
  exampleFolder,
  fewShotPrompt,
  type OrderMessage,
  prompt,
  readTask,
} from './extraction/task.ts';
import { serve } from './serve.ts';

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
  const { smollm2 } = await ensureModels(log);
  const { version } = await ensureLlamaServer(log);
  const figures: Figures = { rules: scoreAnswers(messages, messages.map(answerByRules), task.parse) };
  if (baseLimit > 0) {
    const asPrompt = ({ text }: OrderMessage): string => fewShotPrompt(text, task.shots);
    const some = messages.slice(0, baseLimit);
    Object.assign(
      figures,
      await askBothWays({ model: smollm2, name: 'base', task, messages: some, asPrompt, stop: ['\n'], log }),
    );
  }
  if (adapter !== undefined) {
    const asPrompt = ({ text }: OrderMessage): string => prompt(text);
    Object.assign(
      figures,
      await askBothWays({ model: smollm2, name: 'specialist', adapter, task, messages, asPrompt, log }),
    );
  }
  return {
    split,
    llamaServer: version,
    model: await sha256File(smollm2),
    ...(adapter === undefined ? {} : { adapter: await sha256File(adapter) }),
    figures,
  };
}

function answerByRules({ text }: OrderMessage): Answer {
  const began = performance.now();
  const answer = JSON.stringify(extractByRules(text));
  const milliseconds = performance.now() - began;
  return { text: answer, tokens: [], truncated: false, milliseconds, promptTokens: 0, completionTokens: 0 };
}

type Figures = ExtractionReport['figures'];

/** Who is asked what, with the schema as a grammar and without. */
interface Asking {
  model: string;
  name: string;
  adapter?: string;
  task: ExtractionTask;
  messages: OrderMessage[];
  asPrompt: (message: OrderMessage) => string;
  stop?: string[];
  log: Log;
}

async function askBothWays(asking: Asking): Promise<Figures> {
  const { model, name, adapter, task, messages, asPrompt, stop, log } = asking;
  await using engine = await serve({ model, adapter, log });
  const store = await inFile<Answer>(cacheDir('proof', `extraction-${digest(engine.identity)}.jsonl`));
  const figures: Figures = {};
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
    figures[`${name}, ${way}`] = scoreAnswers(messages, answers, task.parse);
  }
  return figures;
}

// `node hack/proof/extraction.ts [--split test] [--limit 500] [--base 100] [--adapter FILE] [--write]`; `--write` keeps the
// figures beside the adapter and in its model card.
if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      adapter: { type: 'string' },
      split: { type: 'string' },
      limit: { type: 'string' },
      base: { type: 'string', default: '100' },
      write: { type: 'boolean', default: false },
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
  if (values.write) {
    const card = join(exampleFolder, 'MODEL_CARD.md');
    await writeFile(join(exampleFolder, 'figures.json'), `${JSON.stringify(report, undefined, 2)}\n`);
    await writeFile(card, withFigures(await readFile(card, 'utf8'), report));
  }
  console.log(reportTable(report));
}
