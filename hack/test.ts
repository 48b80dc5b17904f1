import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { elapsed } from './command.ts';

/**
 * Runs the projects of vitest.config.ts. Units show an error in a function within seconds; the tests that wait for an API
 * server run beside them, and are shown after them; then come clients that people use, then the cluster. Ends with `N passed,
 * N failed` over all of them, alone on the last line.
 */
const stages = [['unit', 'apiserver'], ['sdk'], ['e2e']] as const;
const projects = stages.flat();
type Project = (typeof projects)[number];
const root = join(import.meta.dirname, '..');

/** What of vitest's JSON report is needed. */
interface Report {
  numPassedTests: number;
  numFailedTests: number;
  testResults: { name: string; status: string; assertionResults: unknown[] }[];
}

interface Outcome {
  project: Project;
  passed: number;
  failed: number;
  took: string;
}

/** Runs a project's tests. What vitest says is shown as it comes, or held back until `mayShow`. */
async function runProject(project: Project, folder: string, mayShow?: Promise<unknown>): Promise<Outcome> {
  const began = Date.now();
  const report = join(folder, `${project}.json`);
  const vitest = join(root, 'node_modules/vitest/vitest.mjs');
  const args = [vitest, 'run', '--project', project, '--reporter=default', '--reporter=json'];
  const child = spawn(process.execPath, [...args, `--outputFile.json=${report}`], {
    cwd: root,
    stdio: mayShow ? ['ignore', 'pipe', 'pipe'] : 'inherit',
    env: { ...process.env, ...(mayShow && process.stdout.isTTY && { FORCE_COLOR: '1' }) },
  });
  const shown = mayShow && [
    showLater(child.stdout, process.stdout, mayShow),
    showLater(child.stderr, process.stderr, mayShow),
  ];
  const stop = (): void => void child.kill('SIGTERM');
  process.on('SIGTERM', stop);
  const code = await new Promise<number>((resolve, reject) =>
    child.once('error', reject).once('close', (status) => resolve(status ?? 1)),
  );
  process.off('SIGTERM', stop);
  const took = elapsed(began);
  await Promise.all(shown ?? []);
  return { project, ...count(await readReport(report), code), took };
}

/** Copies a stream from when it may be shown; its writer never waits. */
export async function showLater(from: Readable | null, to: Writable, mayShow: Promise<unknown>): Promise<void> {
  const held: Buffer[] = [];
  let hold = true;
  from?.on('data', (chunk: Buffer) => (hold ? held.push(chunk) : to.write(chunk)));
  await mayShow;
  hold = false;
  for (const chunk of held) to.write(chunk);
}

/** A file that can't be loaded counts as one failure, and so does whatever else made vitest fail. */
export function count(report: Report | undefined, code: number): { passed: number; failed: number } {
  const broken = report?.testResults.filter(
    ({ status, assertionResults }) => status === 'failed' && assertionResults.length === 0,
  );
  const failed = (report?.numFailedTests ?? 0) + (broken?.length ?? 0);
  return { passed: report?.numPassedTests ?? 0, failed: code !== 0 && failed === 0 ? 1 : failed };
}

async function readReport(path: string): Promise<Report | undefined> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as Report;
  } catch (error) {
    // Without a report vitest itself failed, and has said why.
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

async function main(wanted: string[]): Promise<number> {
  const unknown = wanted.find((name) => !projects.some((project) => project === name));
  if (unknown) {
    console.error(`no tests are called ${unknown}: there are ${projects.join(', ')}`);
    return 2;
  }
  // Ctrl-C goes to vitest as well, which ends in order; then we report.
  let interrupted = false;
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => (interrupted = true));
  const folder = await mkdtemp(join(tmpdir(), 'cadre-test-'));
  const outcomes: Outcome[] = [];
  try {
    for (const stage of stages) {
      if (interrupted) break;
      let before: Promise<unknown> | undefined;
      const running: Promise<Outcome>[] = [];
      for (const project of stage) {
        if (wanted.length > 0 && !wanted.includes(project)) continue;
        const outcome = runProject(project, folder, before);
        before = outcome.catch(() => undefined);
        running.push(outcome);
      }
      outcomes.push(...(await Promise.all(running)));
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  const sum = (field: 'passed' | 'failed'): number => outcomes.reduce((total, outcome) => total + outcome[field], 0);
  for (const { project, passed, failed, took } of outcomes)
    console.log(`${project.padEnd(10)} ${passed} passed, ${failed} failed (${took})`);
  console.log(`${sum('passed')} passed, ${sum('failed')} failed`);
  return interrupted || sum('failed') > 0 || sum('passed') === 0 ? 1 : 0;
}

if (import.meta.main) process.exitCode = await main(process.argv.slice(2));
