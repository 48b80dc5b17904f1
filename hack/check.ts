import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { errorMessage, UserError } from '../process/errors.ts';
import { elapsed } from './command.ts';
import { ensureBinaries } from './local-cluster/build.ts';

const root = join(import.meta.dirname, '..');
const log = (line: string): void => console.log(line);

/** What `make check` proves, in this order; all of it runs even when one fails. */
const checks: Record<string, () => Promise<string[]>> = {
  'generated files are fresh': async () => [process.execPath, 'hack/generate.ts', '--check'],
  types: async () => [process.execPath, 'node_modules/typescript/bin/tsc', '-p', 'tsconfig.json'],
  lint: async () => [process.execPath, 'node_modules/oxlint/bin/oxlint', '--type-aware', '--deny-warnings'],
  format: async () => [process.execPath, 'node_modules/@biomejs/biome/bin/biome', 'ci', '--colors=off', '.'],
  chart: async () => {
    const { helm } = await ensureBinaries(log);
    return [helm, 'lint', '--strict', '--quiet', 'charts/cadre', '--values', 'charts/cadre/ci/values.yaml'];
  },
};

const failed: string[] = [];
for (const [name, command] of Object.entries(checks)) {
  const began = Date.now();
  const { code, output } = await command().then(run, (error: unknown) => {
    if (!(error instanceof UserError)) throw error;
    return { code: 1, output: `${errorMessage(error)}\n` };
  });
  log(`${code === 0 ? 'ok    ' : 'FAILED'} ${name} (${elapsed(began)})`);
  if (code === 0) continue;
  failed.push(name);
  process.stdout.write(output);
}
log(
  failed.length
    ? `check: ${failed.length} of ${Object.keys(checks).length} failed: ${failed.join(', ')}`
    : 'check: all well',
);
process.exitCode = failed.length ? 1 : 0;

function run([command = '', ...args]: string[]): Promise<{ code: number; output: string }> {
  const child = spawn(command, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
  }
  return new Promise((resolve, reject) =>
    child.once('error', reject).once('close', (code) => resolve({ code: code ?? 1, output })),
  );
}
