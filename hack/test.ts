import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { elapsed } from './command.ts';

/**
 * Runs the projects of vitest.config.ts one after another, quick ones first: an error in a function shows in seconds, and
 * the cluster has both cores. Ends with `N passed, N failed` over all of them, alone on the last line.
 */
const projects = ['unit', 'apiserver', 'e2e'] as const;
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

async function runProject(project: Project, folder: string): Promise<Outcome> {
  const began = Date.now();
  const report = join(folder, `${project}.json`);
  const vitest = join(root, 'node_modules/vitest/vitest.mjs');
  const args = [vitest, 'run', '--project', project, '--reporter=default', '--reporter=json'];
  const child = spawn(process.execPath, [...args, `--outputFile.json=${report}`], { cwd: root, stdio: 'inherit' });
  child.once('spawn', () => process.on('SIGTERM', () => child.kill('SIGTERM')));
  const code = await new Promise<number>((resolve, reject) =>
    child.once('error', reject).once('close', (status) => resolve(status ?? 1)),
  );
  return { project, ...count(await readReport(report), code), took: elapsed(began) };
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
  process.on('SIGINT', () => {
    interrupted = true;
  });
  const folder = await mkdtemp(join(tmpdir(), 'cadre-test-'));
  const outcomes: Outcome[] = [];
  try {
    for (const project of projects) {
      if (interrupted || (wanted.length > 0 && !wanted.includes(project))) continue;
      outcomes.push(await runProject(project, folder));
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
