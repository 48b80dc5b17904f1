import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs, promisify } from 'node:util';
import { errorMessage, UserError } from '../process/errors.ts';
import { onControlPlane } from './operator/control-plane.ts';
import { report } from './operator/figures.ts';
import { measureFloor, measureOperator } from './operator/measure.ts';
import { say } from './operator/progress.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const help = `npm run bench:operator -- [--models N] [--json FILE] [--profile DIR] [--keep]

Makes N SpecializedModels (default 1000) on etcd, kube-apiserver, kube-controller-manager and kube-scheduler without a node,
and measures what the operator needs for them, beside a bare script that sends the same calls. --profile writes the operator's CPU profile, --keep leaves its log.`;

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      models: { type: 'string', default: '1000' },
      json: { type: 'string' },
      profile: { type: 'string' },
      keep: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return say(help);
  const models = Number(values.models);
  if (!Number.isInteger(models) || models < 1)
    throw new UserError('BadFlag', `--models ${values.models}: a whole number, 1 or more`);
  const dir = await mkdtemp(join(tmpdir(), 'cadre-bench-'));
  try {
    say('building the operator');
    await build();
    const floor = await onControlPlane(join(dir, 'floor'), (plane) => measureFloor(plane, models));
    say(`floor: ${floor.wallSeconds.toFixed(1)} s, ${floor.cpuSeconds.toFixed(1)} CPU s`);
    const figures = await onControlPlane(join(dir, 'operator'), (plane, at) =>
      measureOperator(plane, at, { models, floor, profile: values.profile }),
    );
    report(figures);
    if (values.json !== undefined) await writeFile(values.json, `${JSON.stringify(figures, null, 2)}\n`);
  } finally {
    if (values.keep) say(`kept ${dir}`);
    else await rm(dir, { recursive: true, force: true });
  }
}

async function build(): Promise<void> {
  try {
    await promisify(execFile)('npm', ['run', '--silent', 'build'], { cwd: root });
  } catch (error) {
    throw new UserError(
      'BuildFailed',
      `npm run build:\n${(error as { stdout?: string }).stdout ?? errorMessage(error)}`,
    );
  }
}

try {
  await main();
} catch (error) {
  process.stderr.write(`${error instanceof UserError ? errorMessage(error) : String((error as Error).stack)}\n`);
  process.exitCode = 1;
}
