import { writeFile } from 'node:fs/promises';
import { cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { errorMessage, UserError } from '../process/errors.ts';
import { type Case, cases } from './router/cases.ts';
import { describe, type Figures, goals, type Soak } from './router/figures.ts';
import { measure, type Options, soak } from './router/measure.ts';
import { programs, type Running, startBackend } from './router/programs.ts';

const help = `npm run bench:router -- [--program NAME]... [--case NAME]... [--processes N]... [--seconds N] [--warm-up SECONDS]
                        [--connections N] [--soak REQUESTS] [--json FILE]

Sends the same requests through the router and through others that could stand in its place, in turns, against a backend
that answers at once, and prints what each costs: CPU of its processes by the operating system's account, requests per
second at full load, and the latency that it adds at half load. Others are fetched from npm, PyPI and Debian into the cache.

  --program    ${Object.keys(programs).join(', ')} (default: all of them)
  --case       ${cases.map(({ name }) => name).join(', ')} (default: all of them)
  --processes  how many processes each program may have (default: 1 and 2)
  --soak       plain requests through one router, with its memory after each fifth of them (default: 200000; 0: none)`;

const caseNames: string[] = cases.map(({ name }) => name);

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      program: { type: 'string', multiple: true, default: Object.keys(programs) },
      case: { type: 'string', multiple: true, default: caseNames },
      processes: { type: 'string', multiple: true, default: ['1', '2'] },
      seconds: { type: 'string', default: '6' },
      'warm-up': { type: 'string', default: '5' },
      connections: { type: 'string', default: '32' },
      soak: { type: 'string', default: '200000' },
      json: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    console.log(help);
    return;
  }
  const names = values.program.map((name) => oneOf('--program', name, Object.keys(programs)));
  const chosen = new Set(values.case.map((name) => oneOf('--case', name, caseNames)));
  const kinds = cases.filter(({ name }) => chosen.has(name));
  const options: Options = {
    seconds: wholeNumber('--seconds', values.seconds, 1),
    warmUpSeconds: wholeNumber('--warm-up', values['warm-up'], 0),
    connections: wholeNumber('--connections', values.connections, 1),
  };
  const soaked = wholeNumber('--soak', values.soak, 0);
  console.log(
    `${new Date().toISOString().slice(0, 10)}, ${cpus().length} cores (${cpus()[0]?.model}), Node ${process.version}\n`,
  );

  const figures: Figures[] = [];
  const written: (Figures | Soak)[] = [];
  for (const processes of values.processes.map((count) => wholeNumber('--processes', count, 1))) {
    await withPrograms(names, processes, async (running, backend) => {
      for (const kind of kinds) {
        const found = await measure(running, backend, kind, { processes, options });
        figures.push(...found);
        written.push(...found);
        for (const one of found) console.log(describe(one));
        console.log();
      }
      const cadre = running.get('cadre');
      if (processes > 1 || soaked === 0 || !cadre) return;
      const grown = await soak(cadre, cases[0] as Case, soaked, options.connections);
      written.push(grown);
      const mebibytes = grown.memoryBytes.map((bytes) => (bytes / 2 ** 20).toFixed(0)).join(', ');
      console.log(`${soaked} requests more: ${mebibytes} MiB after each fifth of them, ${grown.errors} errors\n`);
    });
  }
  for (const { what, is, most, met } of goals(figures))
    console.log(`${met ? 'met   ' : 'MISSED'} ${what}: ${is}, ${most}`);
  if (values.json !== undefined) await writeFile(values.json, `${JSON.stringify(written, undefined, 2)}\n`);
}

/** Runs `work` with the programs started; those that can't be had are named and left out. All have ended afterwards. */
async function withPrograms(
  names: readonly string[],
  processes: number,
  work: (running: ReadonlyMap<string, Running>, backend: Running) => Promise<void>,
): Promise<void> {
  const backend = await startBackend();
  const running = new Map<string, Running>();
  const stopAll = () => Promise.all([...running.values(), backend].map((program) => program.stop()));
  const interrupted = (): void => void stopAll().finally(() => process.exit(130));
  process.once('SIGINT', interrupted).once('SIGTERM', interrupted);
  try {
    for (const name of names) {
      try {
        running.set(name, await (programs[name] as (typeof programs)[string])(backend.ports[0] as number, processes));
      } catch (error) {
        if (name === 'cadre' || name === 'bare') throw error;
        console.log(`left out: ${name}, which can't be had: ${errorMessage(error)}`);
      }
    }
    await work(running, backend);
  } finally {
    process.removeListener('SIGINT', interrupted).removeListener('SIGTERM', interrupted);
    await stopAll();
  }
}

function oneOf(flag: string, value: string, known: readonly string[]): string {
  if (!known.includes(value))
    throw new UserError('InvalidOption', `${flag} is one of ${known.join(', ')}, not ${value}`);
  return value;
}

function wholeNumber(flag: string, value: string, least: number): number {
  const number = Number(value);
  if (!Number.isInteger(number) || number < least)
    throw new UserError('InvalidOption', `${flag} is a whole number from ${least} on, not ${value}`);
  return number;
}

try {
  await main();
} catch (error) {
  if (!(error instanceof UserError) && (error as { code?: string }).code !== 'ERR_PARSE_ARGS_UNKNOWN_OPTION')
    throw error;
  console.error(errorMessage(error));
  process.exitCode = 1;
}
