import { createHash } from 'node:crypto';
import { globSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { cacheDir, fillEntry, isIntact, type Log, withLock } from './cache.ts';
import { runCommand } from './command.ts';

const install = 'install Python 3.11 or newer with pip and venv (Debian: apt-get install python3-pip python3-venv)';

/**
 * The interpreter of a virtual environment that has what a file of pinned requirements names, and nothing else. It lies in
 * the cache, one for each content of the file and each version of Python, made where there is none yet.
 *
 * @throws UserError where Python, pip or a package is missing.
 */
export async function ensureVenv(requirements: string, log: Log): Promise<string> {
  const content = await readFile(requirements, 'utf8');
  const python = (args: string[], doing: string, command = 'python3'): Promise<string> =>
    runCommand(command, args, { log, doing, install });
  const version = await python(['-c', 'import sys; print(sys.version, sys.platform)'], 'looking for Python');
  const key = createHash('sha256').update(`${version}\n${content}`).digest('hex').slice(0, 16);
  const entry = cacheDir('python', key);
  await withLock(entry, log, async () => {
    if (await isIntact(entry)) return;
    log(`installing Python packages: ${packagesOf(content).join(', ')}`);
    await fillEntry(entry, async (folder) => {
      await python(['-m', 'venv', folder], 'making a virtual environment');
      const pip = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--only-binary=:all:'];
      // By its own interpreter, not by a script of it: scripts hold the path of the folder, which is about to change.
      await python([...pip, '--requirement', requirements], 'installing Python packages', join(folder, 'bin/python'));
      return { files: ['pyvenv.cfg', ...globSync('lib/*/site-packages/*.dist-info/RECORD', { cwd: folder })] };
    });
  });
  return join(entry, 'bin/python');
}

/** The names in a file of requirements, with their versions. */
export function packagesOf(requirements: string): string[] {
  return requirements
    .split('\n')
    .map((line) => line.replace(/#.*/, '').trim())
    .filter((line) => line !== '' && !line.startsWith('-'))
    .map((line) => line.replace('==', ' '));
}
