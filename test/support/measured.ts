import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { cpus, totalmem } from 'node:os';
import { join } from 'node:path';

/** Whether scenarios run at their full length (`make test-long`), and their figures are kept. */
export const isLong = Boolean(process.env['CADRE_TEST_LONG']);

const folder = join(import.meta.dirname, '../../docs/measured');

/** What a scenario measured, as `docs/measured/NAME.json` keeps it. */
interface Measured {
  scenario: string;
  date: string;
  machine: string;
  figures: Record<string, number | string>;
}

/** Keeps a scenario's figures in `docs/measured/` when it ran at full length; a short run only prints them. */
export async function measured(name: string, scenario: string, figures: Measured['figures']): Promise<void> {
  console.log(`${scenario}: ${JSON.stringify(figures)}`);
  if (!isLong) return;
  const machine = `${cpus().length} cores (${cpus()[0]?.model ?? 'unknown'}), ${Math.round(totalmem() / 2 ** 30)} GiB`;
  const entry: Measured = { scenario, date: new Date().toISOString().slice(0, 10), machine, figures };
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, `${name}.json`), `${JSON.stringify(entry, undefined, 2)}\n`);
  await writeFile(join(folder, 'README.md'), page(await readAll()));
}

async function readAll(): Promise<Measured[]> {
  const names = (await readdir(folder)).filter((name) => name.endsWith('.json')).sort();
  return Promise.all(names.map(async (name) => JSON.parse(await readFile(join(folder, name), 'utf8')) as Measured));
}

function page(all: Measured[]): string {
  const parts = all.map(({ scenario, date, machine, figures }) => {
    const rows = Object.entries(figures).map(([what, value]) => `| ${what} | ${value} |`);
    return `## ${scenario}\n\n${date}, ${machine}\n\n| | |\n| --- | --- |\n${rows.join('\n')}\n`;
  });
  return `<!-- Written by \`make test-long\`. -->\n\n# Measured\n\nWhat the scenarios of \`make test-long\` saw at full length.\n\n${parts.join('\n')}`;
}
