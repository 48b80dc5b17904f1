import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { resolve as absolute } from 'node:path';
import { parseArgs } from 'node:util';
import { errorMessage, UserError } from '../../process/errors.ts';
import type { Log } from '../cache.ts';
import { elapsed } from '../command.ts';
import { ensureBinaries } from './build.ts';
import { connect, down, status, up } from './cluster.ts';
import { logFile } from './components.ts';
import { parts } from './parts.ts';

const usage = `usage: node hack/local-cluster/cli.ts COMMAND

  up [--gpus N] [--engine-sim]
                       make the cluster, or repair and complete the one that is there; --gpus: devices nvidia.com/gpu
                       that are only numbers, default 8; --engine-sim: load the engine simulator's image, too
  down                 end it and remove every trace; caches stay
  status               which of its programs run
  logs [PART] [-f]     what a program said: ${parts.join(', ')}
  kubeconfig           path of the kubeconfig: export KUBECONFIG=$(node hack/local-cluster/cli.ts kubeconfig)
  kubectl ARGS         kubectl, for this cluster
  helm ARGS            helm, for this cluster
  load-image TAR       load an image from an archive of docker save or buildah push
  volume NAMESPACE [CLAIM [FOLDER]]
                       offer the model files to a namespace as the claim "models", or a folder, writable, as another
`;

const began = Date.now();
const log: Log = (line) => process.stderr.write(`${elapsed(began).padStart(5)}  ${line}\n`);

const commands: Record<string, (args: string[]) => Promise<number>> = {
  async up(args) {
    const { values } = parseArgs({ args, options: { gpus: { type: 'string' }, 'engine-sim': { type: 'boolean' } } });
    const images = ['llama-server', 'cadre', ...(values['engine-sim'] ? (['engine-sim'] as const) : [])] as const;
    const gpus = values.gpus === undefined ? undefined : wholeNumber('--gpus', values.gpus);
    const cluster = await up({ log, images: [...images], ...(gpus === undefined ? {} : { gpus }) });
    log(`the local cluster is ready; export KUBECONFIG=${cluster.kubeconfig}`);
    return 0;
  },
  async down() {
    await down({ log });
    return 0;
  },
  async status() {
    const seen = await status({ log });
    if (!seen) {
      process.stdout.write('no local cluster here\n');
      return 1;
    }
    for (const { part, process: found, residentBytes } of seen) {
      const memory = residentBytes === undefined ? '' : `${Math.round(residentBytes / 1e6)} MB`;
      process.stdout.write(
        `${part.padEnd(24)} ${found ? `running, pid ${found.pid}`.padEnd(20) : 'not running'} ${memory.padStart(7)}\n`,
      );
    }
    return seen.every(({ process: found }) => found) ? 0 : 1;
  },
  async logs(args) {
    const { values, positionals } = parseArgs({
      args,
      allowPositionals: true,
      options: { follow: { type: 'boolean', short: 'f' } },
    });
    const { dir } = await connect({ log });
    const known = (await readdir(`${dir}/log`)).map((name) => name.replace(/\.log$/, ''));
    const wanted = positionals.length ? positionals : known;
    const unknown = wanted.find((part) => !known.includes(part));
    if (unknown) throw new UserError('UnknownPart', `no log of ${unknown}; there are ${known.join(', ')}`);
    return passThrough('tail', [
      '-n',
      '50',
      ...(values.follow ? ['-F'] : []),
      ...wanted.map((part) => logFile(dir, part)),
    ]);
  },
  async kubeconfig() {
    const { kubeconfig } = await connect({ log });
    process.stdout.write(`${kubeconfig}\n`);
    return 0;
  },
  async kubectl(args) {
    const [{ environment }, { cluster }] = await Promise.all([connect({ log }), ensureBinaries(log)]);
    return passThrough(cluster, ['kubectl', ...args], environment);
  },
  async helm(args) {
    const [{ environment }, { helm }] = await Promise.all([connect({ log }), ensureBinaries(log)]);
    return passThrough(helm, args, environment);
  },
  async 'load-image'([archive, ...rest]) {
    if (!archive || rest.length || !existsSync(archive))
      throw new UserError('BadArgument', 'load-image takes the path of one archive');
    await (await connect({ log })).loadArchive(absolute(archive));
    return 0;
  },
  async volume([namespace, claim, path]) {
    if (!namespace) throw new UserError('BadArgument', 'volume takes a namespace');
    const cluster = await connect({ log });
    const chosen = path === undefined ? {} : ({ path, accessMode: 'ReadWriteMany' } as const);
    await cluster.offerVolume({ namespace, ...(claim === undefined ? {} : { claim }), ...chosen });
    return 0;
  },
};

function wholeNumber(flag: string, text: string): number {
  if (!/^\d{1,3}$/.test(text))
    throw new UserError('BadArgument', `${flag} must be a whole number from 0 to 999, not ${text}`);
  return Number(text);
}

/** Hands the terminal over to another program and gives its exit code. */
function passThrough(command: string, args: string[], environment: Record<string, string> = {}): Promise<number> {
  const child = spawn(command, args, { stdio: 'inherit', env: { ...process.env, ...environment } });
  // The other program gets the terminal's Ctrl-C, too, and decides what it means.
  process.on('SIGINT', () => undefined);
  return new Promise((resolve, reject) => child.once('error', reject).once('close', (code) => resolve(code ?? 1)));
}

const [name = '', ...rest] = process.argv.slice(2);
const command = commands[name];
if (!command) {
  process.stderr.write(usage);
  process.exitCode = name === '' || name === 'help' || name === '--help' ? 0 : 2;
} else {
  try {
    process.exitCode = await command(rest);
  } catch (error) {
    if (!(error instanceof UserError) && (error as { code?: string }).code?.startsWith('ERR_PARSE_ARGS') !== true)
      throw error;
    process.stderr.write(`${errorMessage(error)}\n`);
    process.exitCode = 1;
  }
}
