import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import type { Prediction } from '../../quality/prediction.ts';
import { cacheDir, type Log } from '../cache.ts';
import { runCommand } from '../command.ts';
import { ensureVenv } from '../python.ts';
import { digest } from './answers.ts';
import type { LabelledMessage } from './predict.ts';

const root = join(import.meta.dirname, '../..');

/** What `training/yardstick.py` writes. */
const output = z.object({
  labels: z.array(z.string()),
  c: z.number(),
  trainingCpuSeconds: z.number(),
  medianMilliseconds: z.number(),
  parameters: z.number(),
  scikitLearn: z.string(),
  probabilities: z.object({ validation: z.array(z.array(z.number())), test: z.array(z.array(z.number())) }),
});

/** TF-IDF with logistic regression, trained on the same messages. Labels by their index in the list that was asked for. */
export interface Yardstick {
  validation: Prediction[];
  test: Prediction[];
  /** The inverse strength of regularisation that validation chose. */
  c: number;
  trainingCpuSeconds: number;
  medianMilliseconds: number;
  scikitLearn: string;
}

/** The messages of each part of the data. */
export interface Splits {
  train: readonly LabelledMessage[];
  validation: readonly LabelledMessage[];
  test: readonly LabelledMessage[];
}

/** The interpreter that has what the yardstick and the plots need. */
export function ensureProofPython(log: Log): Promise<string> {
  return ensureVenv(join(root, 'training/requirements-proof.txt'), log);
}

/** Trains the yardstick and asks it about both other parts; once for the same messages, program and packages. */
export async function yardstick(splits: Splits, labels: readonly string[], log: Log): Promise<Yardstick> {
  const examples = (['train', 'validation', 'test'] as const)
    .flatMap((split) => splits[split].map(({ text, label }) => JSON.stringify({ text, label, split })))
    .join('\n');
  const python = await ensureProofPython(log);
  const program = await readFile(join(root, 'training/yardstick.py'), 'utf8');
  const path = cacheDir('proof', 'yardstick', `${digest(`${python}\n${program}\n${examples}`)}.json`);
  if (!existsSync(path)) await train(path, { python, examples, log });
  const { probabilities, labels: known, ...rest } = output.parse(JSON.parse(await readFile(path, 'utf8')));
  const places = labels.map((label) => known.indexOf(label));
  const predictions = (split: 'validation' | 'test'): Prediction[] =>
    splits[split].map(({ label }, index) => ({
      truth: labels.indexOf(label),
      probabilities: places.map((place) => probabilities[split][index]?.[place] ?? 0),
    }));
  return { validation: predictions('validation'), test: predictions('test'), ...rest };
}

async function train(path: string, work: { python: string; examples: string; log: Log }): Promise<void> {
  const { python, examples, log } = work;
  const folder = await mkdtemp(join(tmpdir(), 'cadre-yardstick-'));
  try {
    const [source, target] = [join(folder, 'examples.jsonl'), join(folder, 'predictions.json')];
    await writeFile(source, examples);
    await runCommand(python, ['-m', 'training.yardstick', source, target], {
      log,
      doing: 'training the yardstick',
      cwd: root,
      // Most of the work is of one thread; others would only spin where the machine has other things to do.
      env: { OPENBLAS_NUM_THREADS: '1', OMP_NUM_THREADS: '1', PYTHONDONTWRITEBYTECODE: '1' },
      onLine: (line) => {
        const isProgress = line.startsWith('C = ');
        if (isProgress) log(`yardstick: ${line}`);
        return isProgress;
      },
      install: 'the virtual environment is broken: remove the folder `python` of the cache',
    });
    await mkdir(join(path, '..'), { recursive: true });
    await writeFile(`${path}.part`, await readFile(target));
    await rename(`${path}.part`, path);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
