import { chmod, mkdir, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { UserError } from '../../process/errors.ts';
import { cacheDir, fillEntry, isIntact, type Log, withLock } from '../cache.ts';
import { runCommand } from '../command.ts';

/** A real llama-server in a folder of its own, with every library that it needs, for this machine and for images. */
export interface LlamaServer {
  /** How to start it here; more arguments follow. File arguments must be absolute, for it needs `cwd`. */
  command: string[];
  /** The folder of its CPU back ends, which it looks for in the working directory. */
  cwd: string;
  env: Record<string, string>;
  /** The root folder of an image: `/usr/bin/llama-server` works as it is there. */
  root: string;
  /** e.g. `0.7.0` */
  version: string;
}

/** All that `ldd` names, and no more: no shell, no package manager. */
const packages =
  'llama.cpp-tools libllama0 libggml0 libc6 libgcc-s1 libstdc++6 libgomp1 libssl3t64 libzstd1 zlib1g'.split(' ');

/**
 * llama-server as Debian's unstable suite packages it, unpacked into the cache: it brings its own C library, so the
 * machine's Debian may be older. apt runs with folders of its own and checks signatures; the machine's packages stay.
 */
export async function ensureLlamaServer(log: Log): Promise<LlamaServer> {
  const { triple, loader } = architecture();
  const entry = cacheDir('llama-server', `sid-${process.arch}`);
  await withLock(entry, log, async () => {
    if (!(await isIntact(entry))) await fillEntry(entry, (folder) => unpack(folder, log));
  });
  const root = join(entry, 'root');
  const libraries = join(root, 'usr/lib', triple);
  return {
    command: [
      join(libraries, loader),
      '--argv0',
      'llama-server',
      '--library-path',
      `${libraries}:${join(libraries, 'llama')}`,
      join(root, 'usr/bin/llama-server'),
    ],
    cwd: join(libraries, 'ggml/backends0'),
    env: {},
    root,
    version: (await readFile(join(entry, 'version'), 'utf8')).trim(),
  };
}

function architecture(): { triple: string; loader: string } {
  if (process.arch === 'x64') return { triple: 'x86_64-linux-gnu', loader: 'ld-linux-x86-64.so.2' };
  if (process.arch === 'arm64') return { triple: 'aarch64-linux-gnu', loader: 'ld-linux-aarch64.so.1' };
  throw new UserError(
    'UnsupportedArchitecture',
    `llama-server is offered for x64 and arm64, this machine is ${process.arch}`,
  );
}

async function unpack(folder: string, log: Log): Promise<{ files: string[] }> {
  const apt = join(folder, 'apt');
  const debs = join(apt, 'debs');
  const root = join(folder, 'root');
  for (const path of ['state/lists/partial', 'cache/archives/partial', 'debs'])
    await mkdir(join(apt, path), { recursive: true });
  await mkdir(join(root, 'tmp'), { recursive: true });
  await chmod(join(root, 'tmp'), 0o1777);
  const keyring = '/usr/share/keyrings/debian-archive-keyring.gpg';
  await writeFile(
    join(apt, 'sources.list'),
    `deb [signed-by=${keyring}] ${debianMirror(await aptSources())} sid main\n`,
  );
  const settings = {
    'Dir::Etc::sourcelist': join(apt, 'sources.list'),
    'Dir::Etc::sourceparts': '-',
    'Dir::State': join(apt, 'state'),
    'Dir::State::status': '/dev/null',
    'Dir::Cache': join(apt, 'cache'),
    // apt's own user can't write into our folders.
    'APT::Sandbox::User': '',
    'Acquire::Languages': 'none',
    'Acquire::IndexTargets::deb::DEP-11::DefaultEnabled': 'false',
  };
  const options = Object.entries(settings).flatMap(([name, value]) => ['-o', `${name}=${value}`]);
  const aptGet = (args: string[]): Promise<string> =>
    runCommand('apt-get', [...args, '-q', ...options], {
      log,
      doing: `downloading llama-server: apt-get ${args[0]}`,
      cwd: debs,
      install: 'llama-server comes from Debian packages, so use a Debian or Ubuntu machine with debian-archive-keyring',
    });
  log('downloading llama-server (24 MB of Debian packages)');
  await aptGet(['update']);
  await aptGet(['download', ...packages]);
  const files = await readdir(debs);
  for (const name of files) {
    await runCommand('dpkg-deb', ['-x', join(debs, name), root], {
      log,
      doing: `unpacking ${name}`,
      install: 'install dpkg',
    });
  }
  // The packages expect these links, which the package base-files would make.
  for (const name of ['bin', 'lib', 'lib64', 'sbin'])
    await symlink(`usr/${name}`, join(root, name)).catch(() => undefined);
  await writeFile(join(folder, 'version'), versionOf(files));
  await rm(apt, { recursive: true });
  const unpacked = await readdir(root, { recursive: true, withFileTypes: true });
  const plain = unpacked
    .filter((file) => file.isFile())
    .map((file) => relative(folder, join(file.parentPath, file.name)));
  return { files: ['version', ...plain] };
}

async function aptSources(): Promise<string> {
  const folder = '/etc/apt/sources.list.d';
  const more = await readdir(folder).catch(() => []);
  const paths = ['/etc/apt/sources.list', ...more.map((name) => join(folder, name))];
  return (await Promise.all(paths.map((path) => readFile(path, 'utf8').catch(() => '')))).join('\n');
}

/** The archive that the machine itself uses, for that one is reachable from here; else Debian's own. */
export function debianMirror(sources: string): string {
  const lines = sources.split('\n').filter((line) => !line.trimStart().startsWith('#'));
  return lines.join('\n').match(/https?:\/\/\S+\/debian(?=\/?(?:\s|$))/)?.[0] ?? 'http://deb.debian.org/debian';
}

/** `0.7.0` from `llama.cpp-tools_1%3a0.7.0+dfsg-2_amd64.deb`. */
export function versionOf(debs: string[]): string {
  const version = debs.map((name) => name.match(/^llama\.cpp-tools_(?:\d+%3a)?([\d.]+)/)?.[1]).find(Boolean);
  if (version === undefined) throw new UserError('PackageMissing', `no llama.cpp-tools among ${debs.join(', ')}`);
  return version;
}
