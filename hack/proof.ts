import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { errorMessage, UserError } from '../process/errors.ts';
import { type Prediction, pooled } from '../quality/prediction.ts';
import { sha256File } from './cache.ts';
import { elapsed, runCommand } from './command.ts';
import { ensureModels } from './engines/models.ts';
import { type Contender, comparison, figuresOf } from './proof/figures.ts';
import {
  measureGeneral,
  measureSpecialist,
  measureUntrained,
  measureYardsticks,
  promptTrials,
  type Yardsticks,
} from './proof/measure.ts';
import { type ProofFigures, reportPage } from './proof/report.ts';
import { type Served, type Serving, serve } from './proof/serve.ts';
import { readTicketTriage, ticketTriageFolder } from './proof/ticket-triage.ts';
import { ensureProofPython } from './proof/yardstick.ts';

const help = `make proof, or node hack/proof.ts [--adapter FILE] [--general N] [--out FOLDER]

Asks the specialist, the models that it is compared with and a TF-IDF yardstick about every held-out message of
examples/ticket-triage, and writes figures, a page and plots to docs/proof. Answers are kept in the cache: a run that was
interrupted goes on where it was.

  --adapter FILE  the specialist's adapter (default: examples/ticket-triage/adapter.gguf)
  --general N     ask the models that were not trained for this about so many test messages only
  --out FOLDER    default: docs/proof`;

const root = join(import.meta.dirname, '..');
const began = Date.now();
const log = (line: string): void => console.log(`${elapsed(began).padStart(12)}  ${line}`);

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      adapter: { type: 'string', default: join(ticketTriageFolder, 'adapter.gguf') },
      general: { type: 'string' },
      out: { type: 'string', default: join(root, 'docs/proof') },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    console.log(help);
    return;
  }
  const { adapter, general, out } = values;
  if (!existsSync(adapter))
    throw new UserError('AdapterMissing', `there is no adapter ${adapter}: \`make specialist\` trains one`);
  const limit = general === undefined ? Infinity : Number(general);
  if (!(limit >= promptTrials))
    throw new UserError('InvalidOption', `--general is a number from ${promptTrials} on, not ${general}`);
  await prove(adapter, limit, out);
}

async function prove(adapter: string, limit: number, out: string): Promise<void> {
  const task = await readTicketTriage();
  const models = await ensureModels(log);
  const python = await ensureProofPython(log);
  const yardsticks = await measureYardsticks(task, log);
  const { measured, version } = await serving({ model: models.smollm2, adapter }, async (engine) => ({
    measured: await measureSpecialist(task, engine, log),
    version: engine.version,
  }));
  const { untrained, base } = await serving({ model: models.smollm2, context: 8192 }, async (engine) => ({
    untrained: await measureUntrained(task, engine, log),
    base: await measureGeneral(task, engine, { key: 'base', name: 'SmolLM2 135M', chat: true, limit, log }),
  }));
  const general = await serving({ model: models.gemma3, context: 8192 }, (engine) =>
    measureGeneral(task, engine, { key: 'general', name: 'Gemma 3 270M', chat: false, limit, log }),
  );

  const together = (split: 'validation' | 'test'): Prediction[] =>
    measured[split].map((one, index) => pooled([one, yardsticks.intents[split][index] as Prediction]));
  const pool = {
    key: 'together',
    name: 'Specialist and TF-IDF: mean of both',
    validation: together('validation'),
    test: together('test'),
  };
  const { queueOf: groupOf } = task;
  const contenders: Contender[] = [
    { ...pool, question: 'queues', groupOf },
    { ...measured, question: 'queues', groupOf },
    yardsticks.queues,
    general.contender,
    base.contender,
    { ...pool, question: 'intents' },
    { ...measured, question: 'intents' },
    yardsticks.intents,
    untrained,
  ];
  const figures: ProofFigures = {
    date: new Date().toISOString().slice(0, 10),
    command: limit === Infinity ? 'make proof' : `node hack/proof.ts --general ${limit}`,
    machine: `${cpus().length} cores (${cpus()[0]?.model ?? process.arch})`,
    versions: { 'llama-server': version, 'scikit-learn': yardsticks.scikitLearn, 'Node.js': process.versions.node },
    adapter: await sha256File(adapter),
    messages: {
      train: task.messages.train.length,
      validation: task.messages.validation.length,
      test: task.messages.test.length,
    },
    labels: { queues: task.queues.length, intents: task.intents.length },
    yardstick: yardstickChoices(yardsticks),
    prompts: [...general.prompts, ...base.prompts],
    contenders: contenders.map(figuresOf),
    comparisons: comparisons(contenders),
  };
  await write(figures, out, python);
}

/** The questions that the figures are to answer with a test of significance. */
function comparisons(contenders: readonly Contender[]): ProofFigures['comparisons'] {
  const pairs = [
    ['queues', 'specialist', 'general'],
    ['queues', 'specialist', 'yardstick'],
    ['queues', 'together', 'specialist'],
    ['queues', 'together', 'yardstick'],
    ['intents', 'specialist', 'yardstick'],
    ['intents', 'together', 'specialist'],
    ['intents', 'together', 'yardstick'],
  ] as const;
  return pairs.map(([question, ...keys]) => {
    const [first, second] = keys.map((key) =>
      contenders.find((one) => one.key === key && one.question === question),
    ) as [Contender, Contender];
    return comparison(first, second);
  });
}

function yardstickChoices({ c, summed, trainingCpuSeconds }: Yardsticks): ProofFigures['yardstick'] {
  return { c: summed ? { intents: c.intents } : c, trainingCpuSeconds };
}

async function write(figures: ProofFigures, out: string, python: string): Promise<void> {
  await mkdir(out, { recursive: true });
  const path = join(out, 'figures.json');
  await writeFile(path, formatted(JSON.stringify(figures, sixDigits)));
  await writeFile(join(out, 'README.md'), reportPage(figures));
  await runCommand(python, [join(import.meta.dirname, 'proof/plots.py'), path, out], {
    log,
    doing: 'drawing the plots',
    install: 'the virtual environment is broken: remove the folder `python` of the cache',
  });
  log(`written to ${out}`);
}

/** As `make check` wants JSON to be. */
function formatted(json: string): string {
  const args = ['node_modules/@biomejs/biome/bin/biome', 'format', '--stdin-file-path', 'docs/proof/figures.json'];
  return execFileSync(process.execPath, args, { cwd: root, input: json, encoding: 'utf8' });
}

/** More than the intervals are worth, and stable where rounding differs. */
function sixDigits(_: string, value: unknown): unknown {
  return typeof value === 'number' && !Number.isInteger(value) ? Number(value.toPrecision(6)) : value;
}

let running: Served | undefined;

async function serving<T>(what: Omit<Serving, 'log'>, work: (engine: Served) => Promise<T>): Promise<T> {
  await using engine = await serve({ ...what, log });
  running = engine;
  // Awaited here, or the engine would end before its work begins.
  return await work(engine);
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    running?.kill('SIGKILL');
    log('stopped: the same command goes on from here');
    process.exit(130);
  });
}

try {
  await main();
} catch (error) {
  if (!(error instanceof UserError)) throw error;
  console.error(errorMessage(error));
  process.exitCode = 1;
}
