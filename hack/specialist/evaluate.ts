import type { Log } from '../cache.ts';
import { reportTable } from '../proof/extraction/report.ts';
import { evaluateExtraction } from '../proof/extraction.ts';
import { measureSpecialist } from '../proof/measure.ts';
import { serve } from '../proof/serve.ts';
import { readTicketTriage } from '../proof/ticket-triage.ts';
import { figuresTable, splitFigures, temperatures } from './triage-figures.ts';

/** A trained adapter, to be asked. */
export interface Evaluation {
  /** The GGUF file of the base model. */
  base: string;
  /** The GGUF file of the adapter. */
  adapter: string;
  /** Whether to ask about the messages of test as well. */
  test: boolean;
  log: Log;
  signal: AbortSignal;
}

/** What came out. */
export interface Evaluated {
  /** JSON files for the run's folder, by their names. */
  files: Record<string, unknown>;
  /** For people. */
  table: string;
}

/** How the adapters of each task are examined: through the real llama-server. Tasks are named as their modules and examples. */
export const evaluations = {
  'ticket-triage': evaluateTriage,
  extraction: evaluateOrders,
} satisfies Record<string, (evaluation: Evaluation) => Promise<Evaluated>>;

/** A task that can be trained. */
export type TaskName = keyof typeof evaluations;

async function evaluateTriage({ base, adapter, test, log, signal }: Evaluation): Promise<Evaluated> {
  const task = await readTicketTriage();
  await using engine = await serve({ model: base, adapter, log });
  const stop = (): void => engine.kill('SIGKILL');
  signal.addEventListener('abort', stop, { once: true });
  try {
    const parts = test ? task.messages : { ...task.messages, test: [] };
    const said = await measureSpecialist({ ...task, messages: parts }, engine, log);
    const at = temperatures(said.validation, task.queueOf);
    const splits = {
      validation: splitFigures(said.validation, task.queueOf, at),
      ...(test ? { test: splitFigures(said.test, task.queueOf, at) } : {}),
    };
    const figures = { engine: `llama-server ${engine.version}`, temperature: at, ...splits };
    const table = `temperature ${at.queues} (queues), ${at.intents} (intents)\n\n${figuresTable(splits)}`;
    return { files: { 'temperature.json': at, 'figures.json': figures }, table };
  } finally {
    signal.removeEventListener('abort', stop);
  }
}

async function evaluateOrders({ adapter, test, log }: Evaluation): Promise<Evaluated> {
  const report = await evaluateExtraction({ adapter, split: test ? 'test' : 'validation', log, baseLimit: 0 });
  return { files: { 'figures.json': report }, table: reportTable(report) };
}
