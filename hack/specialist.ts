import { copyFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { errorMessage, UserError } from '../process/errors.ts';
import { cacheDir, type Log } from './cache.ts';
import { elapsed } from './command.ts';
import { ensureModels } from './engines/models.ts';
import { ensureVenv } from './python.ts';
import { evaluations, type TaskName } from './specialist/evaluate.ts';
import { checkMachine, lookAtMachine } from './specialist/machine.ts';
import { train } from './specialist/train.ts';

const help = `make specialist, or node hack/specialist.ts [--task NAME] [--seed N] [--test] [--install]

Trains a LoRA adapter for SmolLM2 135M on this machine's CPU, and asks the real llama-server with it about the messages of
validation. Everything lies in the cache; a run that was interrupted goes on where it was.

  --task NAME  ${Object.keys(evaluations).join(' or ')} (default: ticket-triage)
  --seed N     decides the first weights and the order of examples (default: 1)
  --test       ask about the messages of test as well, which nothing may be chosen by
  --install    --test, and copy adapter and figures into the task's folder under examples/`;

const root = join(import.meta.dirname, '..');
const began = Date.now();
const log: Log = (line) => console.log(`${elapsed(began).padStart(12)}  ${line}`);
const interrupted = new AbortController();

interface Options {
  task: TaskName;
  seed: number;
  test: boolean;
  install: boolean;
}

function readOptions(): Options | undefined {
  const { values } = parseArgs({
    options: {
      task: { type: 'string', default: 'ticket-triage' },
      seed: { type: 'string', default: '1' },
      test: { type: 'boolean', default: false },
      install: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return undefined;
  const { task, seed, test, install } = values;
  if (!Object.hasOwn(evaluations, task))
    throw new UserError('InvalidOption', `--task is ${Object.keys(evaluations).join(' or ')}, not ${task}`);
  if (!/^\d{1,9}$/.test(seed)) throw new UserError('InvalidOption', `--seed is a whole number from 0 on, not ${seed}`);
  return { task: task as TaskName, seed: Number(seed), test: test || install, install };
}

async function main(): Promise<void> {
  const options = readOptions();
  if (options === undefined) {
    console.log(help);
    return;
  }
  const { task, seed, test, install } = options;
  checkMachine(await lookAtMachine(cacheDir(), log), cacheDir());
  const { smollm2 } = await ensureModels(log);
  const python = await ensureVenv(join(root, 'training/requirements.txt'), log);
  const { signal } = interrupted;
  const { folder, adapter } = await train({ task, seed, python, base: smollm2, log, signal });

  const { files, table } = await evaluations[task]({ base: smollm2, adapter, test, log, signal });
  for (const [name, content] of Object.entries(files))
    await writeFile(join(folder, name), `${JSON.stringify(content, undefined, 2)}\n`);
  console.log(`\n${table}\n`);
  log(`the adapter and its figures: ${folder}`);
  if (!install) return;
  const example = join(root, 'examples', task);
  for (const name of ['adapter.gguf', ...Object.keys(files)]) await copyFile(join(folder, name), join(example, name));
  await copyFile(join(folder, 'run.json'), join(example, 'training.json'));
  log(`copied to ${example}: check the figures and the checksum in its MODEL_CARD.md`);
}

for (const name of ['SIGINT', 'SIGTERM'] as const) {
  process.on(name, () => {
    // What waits for nothing that the signal ends, such as pip, ends with the process; the next run does it again.
    if (interrupted.signal.aborted) process.exit(130);
    interrupted.abort();
    log('stopping; once more: at once');
  });
}

try {
  await main();
} catch (error) {
  // Ctrl-C ends what is being waited for as well, which then fails.
  if (interrupted.signal.aborted) log('stopped: the same command goes on from here');
  else if (error instanceof UserError) console.error(errorMessage(error));
  else throw error;
  process.exitCode = interrupted.signal.aborted ? 130 : 1;
}
