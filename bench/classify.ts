import { writeFile } from 'node:fs/promises';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { classifyLoad } from './classify/load.ts';
import { clientKey } from './router/cadre.ts';
import { startParts, usageOf } from './router/programs.ts';

const help = `npm run bench:classify -- [--seconds N] [--warm-up SECONDS] [--json FILE]

Texts of about 100 tokens through POST /v1/classify with ten labels, by a classification head and by log-probabilities, in
requests of 32 texts and of one, against backends that answer at once. Each score is checked against what the backend
sent. Prints what one router process does, and what it could do on a core of its own by its CPU time.`;

/** One case: what `--json` writes. CPU is the operating system's account of the router's process. */
interface Figures {
  case: 'head' | 'logprobs';
  textsPerRequest: number;
  cpuMicrosPerText: number;
  /** A million, divided by `cpuMicrosPerText`. */
  textsPerCoreSecond: number;
  /** By the clock, with the client and the backend on the same machine. */
  textsPerSecond: number;
  texts: number;
  peakMemoryBytes: number;
  /** Requests that failed and scores that are wrong. */
  errors: number;
}

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '6' },
    'warm-up': { type: 'string', default: '5' },
    json: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
});
if (values.help) console.log(help);
else await main(Number(values.seconds), Number(values['warm-up']), values.json);

async function main(seconds: number, warmUpSeconds: number, file: string | undefined): Promise<void> {
  console.log(
    `${new Date().toISOString().slice(0, 10)}, ${cpus().length} cores (${cpus()[0]?.model}), Node ${process.version}\n`,
  );
  const script = join(import.meta.dirname, 'classify/part.ts');
  const backend = await startParts('backend', 0, 1, [], script);
  const headers = ['authorization', `Bearer ${clientKey}`];
  const cadre = await startParts('cadre', backend.ports[0] as number, 1, headers, script);
  const figures: Figures[] = [];
  try {
    for (const model of ['head', 'logprobs'] as const) {
      for (const batch of [32, 1]) {
        const kind = { model, batch, connections: batch === 1 ? 32 : 8 };
        await classifyLoad(cadre, { ...kind, seconds: warmUpSeconds });
        const before = await usageOf(cadre);
        const load = await classifyLoad(cadre, { ...kind, seconds });
        const after = await usageOf(cadre);
        const cpuMicrosPerText = (1e6 * (after.cpuSeconds - before.cpuSeconds)) / load.texts;
        const one: Figures = {
          case: model,
          textsPerRequest: batch,
          cpuMicrosPerText,
          textsPerCoreSecond: 1e6 / cpuMicrosPerText,
          textsPerSecond: load.texts / load.seconds,
          texts: load.texts,
          peakMemoryBytes: after.peak,
          errors: load.errors,
        };
        figures.push(one);
        console.log(describe(one));
      }
    }
  } finally {
    await Promise.all([cadre.stop(), backend.stop()]);
  }
  if (file !== undefined) await writeFile(file, `${JSON.stringify(figures, undefined, 2)}\n`);
}

function describe(one: Figures): string {
  return [
    `${one.case.padEnd(9)}× ${String(one.textsPerRequest).padEnd(3)}`,
    `${one.cpuMicrosPerText.toFixed(1)} µs CPU a text`.padEnd(22),
    `${one.textsPerCoreSecond.toFixed(0)} texts/s of a core`.padEnd(25),
    `${one.textsPerSecond.toFixed(0)} texts/s by the clock`.padEnd(28),
    `${one.texts} texts checked, ${one.errors} errors`,
    `${(one.peakMemoryBytes / 2 ** 20).toFixed(0)} MiB`,
  ].join(' ');
}
