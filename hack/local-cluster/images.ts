import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { chmod, copyFile, cp, link, mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { cacheDir, fillEntry, isIntact, type Log, withLock } from '../cache.ts';
import { runCommand } from '../command.ts';
import { ensureLlamaServer } from '../engines/llama-server.ts';
import { ensureBinaries } from './build.ts';
import { type BuiltImage, ensureImage, recipes } from './image-build.ts';

const checkout = join(import.meta.dirname, '../..');

/** The images of the cluster's own parts: nodes can't start pods without them. */
export async function ensureClusterImages(log: Log): Promise<Record<'pause' | 'coredns', BuiltImage>> {
  const binaries = await ensureBinaries(log);
  const single = (name: 'pause' | 'coredns', program: string): Promise<BuiltImage> =>
    ensureImage(log, {
      name,
      aliases: ['dev'],
      madeFrom: [binaries.folder],
      context: (folder) => linkOrCopy(program, join(folder, program.endsWith('/pause') ? 'pause' : 'cluster')),
    });
  return { pause: await single('pause', binaries.pause), coredns: await single('coredns', binaries.cluster) };
}

/** llama-server, tagged with its version. */
export async function ensureLlamaServerImage(log: Log): Promise<BuiltImage> {
  const llama = await ensureLlamaServer(log);
  return ensureImage(log, {
    name: 'llama-server',
    aliases: [llama.version, 'dev'],
    madeFrom: [await readFile(join(llama.root, '../manifest.json'), 'utf8')],
    context: (folder) => cp(llama.root, folder, { recursive: true, verbatimSymlinks: true }),
  });
}

/** What tsconfig.build.json compiles. */
const productFolders = ['crds', 'kube', 'process', 'economics', 'quality', 'operator', 'runtime', 'cli'];

/** Our own image, from the Dockerfile that we ship, of the sources as they are in this checkout. */
export function ensureCadreImage(log: Log): Promise<BuiltImage> {
  return ensureNodeImage(log, 'cadre', {
    folders: productFolders,
    project: { extends: join(checkout, 'tsconfig.build.json') },
    dockerfile: join(checkout, 'Dockerfile'),
  });
}

/** The engine simulator's image. */
export function ensureEngineSimImage(log: Log): Promise<BuiltImage> {
  return ensureNodeImage(log, 'engine-sim', {
    folders: ['test/support/engine-sim', ...productFolders],
    project: { extends: join(checkout, 'tsconfig.build.json'), include: [join(checkout, 'test/support/engine-sim')] },
    dockerfile: join(recipes, 'engine-sim/Dockerfile'),
  });
}

interface NodeImage {
  /** Whose files, tests left out, make another image when they change. */
  folders: string[];
  /** Replaces settings of the TypeScript project that is compiled. */
  project: { extends: string; include?: string[] };
  dockerfile: string;
}

async function ensureNodeImage(log: Log, name: 'cadre' | 'engine-sim', image: NodeImage): Promise<BuiltImage> {
  const base = await ensureNodeBase(log);
  const settings = ['package.json', 'package-lock.json', 'tsconfig.json', 'tsconfig.build.json'];
  const sources = await hashFiles(checkout, [...settings, ...(await listSources(image.folders))]);
  return ensureImage(log, {
    name,
    aliases: ['dev'],
    dockerfile: image.dockerfile,
    madeFrom: [sources, base.name, JSON.stringify(image)],
    base,
    context: async (folder) => {
      const modules = await ensureProductionModules(log);
      await compile(log, image.project, join(folder, 'dist'));
      // With their times, by which buildah knows a layer again.
      const copies = ['--archive', '--link', modules, join(checkout, 'package.json'), folder];
      await runCommand('cp', copies, { log, doing: 'copying npm packages', install: 'install coreutils' });
    },
  });
}

async function compile(log: Log, project: NodeImage['project'], outDir: string): Promise<void> {
  // Beside the sources, for the compiler looks for packages from there.
  const config = join(checkout, `tsconfig.image-${process.pid}.json`);
  const include = ['crds', 'kube', 'process', 'operator', 'runtime', 'cli'].map((folder) => join(checkout, folder));
  const exclude = ['**/*.test.ts', '**/testing/**'].map((pattern) => join(checkout, pattern));
  const compilerOptions = { rootDir: checkout, outDir };
  await writeFile(config, JSON.stringify({ include, ...project, exclude, compilerOptions }));
  try {
    const tsc = join(checkout, 'node_modules/typescript/bin/tsc');
    await runCommand(process.execPath, [tsc, '-p', config], {
      log,
      doing: 'compiling TypeScript',
      install: 'run npm ci',
    });
  } finally {
    await rm(config);
  }
}

/** What the image needs at run time of package-lock.json, installed apart from the checkout. */
async function ensureProductionModules(log: Log): Promise<string> {
  const files = ['package.json', 'package-lock.json'];
  const entry = cacheDir('npm', await hashFiles(checkout, files));
  await withLock(entry, log, async () => {
    if (await isIntact(entry)) return;
    await fillEntry(entry, async (folder) => {
      for (const file of files) await copyFile(join(checkout, file), join(folder, file));
      const args = [
        'ci',
        '--ignore-scripts',
        '--omit=dev',
        '--omit=optional',
        '--prefer-offline',
        '--no-audit',
        '--no-fund',
      ];
      await runCommand('npm', args, {
        log,
        cwd: folder,
        doing: 'installing npm packages for the image',
        install: 'install npm',
      });
      return { files: [...files, 'node_modules/.package-lock.json'] };
    });
  });
  return join(entry, 'node_modules');
}

/** Node as the `node-linux-*` package of this checkout brings it, with what it links from this machine. */
async function ensureNodeBase(log: Log): Promise<BuiltImage> {
  const node = join(checkout, `node_modules/node-linux-${process.arch}/bin/node`);
  const linked = await runCommand('ldd', [node], { log, doing: 'looking for libraries', install: 'install libc-bin' });
  const libraries = [...linked.matchAll(/(?:=> )?(\/\S+) \(0x/g)].map((match) => match[1] ?? '');
  const certificates = '/etc/ssl/certs/ca-certificates.crt';
  const files = [node, ...libraries, certificates];
  const stats = await Promise.all(
    files.map(async (file) => `${file} ${(await stat(file)).size} ${(await stat(file)).mtimeMs}`),
  );
  return ensureImage(log, {
    name: 'node-base',
    aliases: [],
    madeFrom: stats,
    context: async (folder) => {
      const place = async (from: string, to: string): Promise<void> => {
        await mkdir(dirname(join(folder, to)), { recursive: true });
        await copyFile(from, join(folder, to));
      };
      await place(node, 'nodejs/bin/node');
      for (const file of [...libraries, certificates]) await place(file, file);
      for (const path of ['tmp', 'home/nonroot']) await mkdir(join(folder, path), { recursive: true });
      await chmod(join(folder, 'tmp'), 0o1777);
      await writeFile(
        join(folder, 'etc/passwd'),
        'root:x:0:0:root:/root:/sbin/nologin\nnonroot:x:65532:65532::/home/nonroot:/sbin/nologin\n',
      );
      await writeFile(join(folder, 'etc/group'), 'root:x:0:\nnonroot:x:65532:\n');
      await writeFile(join(folder, 'etc/nsswitch.conf'), 'hosts: files dns\n');
    },
  });
}

async function listSources(folders: string[]): Promise<string[]> {
  const lists = await Promise.all(
    folders
      .filter((folder) => existsSync(join(checkout, folder)))
      .map((folder) => readdir(join(checkout, folder), { recursive: true, withFileTypes: true })),
  );
  return lists
    .flat()
    .filter((entry) => entry.isFile() && !entry.name.endsWith('.test.ts') && !entry.parentPath.includes('/testing'))
    .map((entry) => relative(checkout, join(entry.parentPath, entry.name)))
    .toSorted();
}

async function hashFiles(root: string, names: string[]): Promise<string> {
  const hash = createHash('sha256');
  for (const name of names) hash.update(`${name}\0`).update(await readFile(join(root, name)));
  return hash.digest('hex').slice(0, 16);
}

/** Large files are not copied where a link will do. */
async function linkOrCopy(from: string, to: string): Promise<void> {
  await link(from, to).catch(() => copyFile(from, to));
}
