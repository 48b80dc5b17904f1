import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { errorMessage, UserError } from '../process/errors.ts';
import { ensureVenv } from './python.ts';

/** Runs the Python tests of `training/` with the packages that it trains with, which take a while to install. */
async function main(): Promise<number> {
  const root = join(import.meta.dirname, '..');
  const python = await ensureVenv(join(root, 'training/requirements.txt'), (line) => console.log(line));
  const args = ['-m', 'unittest', 'discover', '--start-directory', 'training', '--top-level-directory', '.'];
  const child = spawn(python, args, { cwd: root, stdio: 'inherit' });
  return new Promise((resolve, reject) => child.once('error', reject).once('close', (status) => resolve(status ?? 1)));
}

try {
  process.exitCode = await main();
} catch (error) {
  if (!(error instanceof UserError)) throw error;
  console.error(errorMessage(error));
  process.exitCode = 1;
}
