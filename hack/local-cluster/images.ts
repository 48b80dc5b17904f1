import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import {
  chmod,
  copyFile,
  cp,
  link,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  stat,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { cacheDir, fillEntry, isIntact, type Log, withLock } from '../cache.ts';
import { elapsed, runCommand } from '../command.ts';
import { ensureLlamaServer } from '../engines/llama-server.ts';
import { ensureBinaries } from './build.ts';
import { carriesOverlays } from './overlay.ts';

const checkout = join(import.meta.dirname, '../..');
const recipes = join(import.meta.dirname, 'images');

/** An image that is ready to be loaded into a node. */
export interface BuiltImage {
  /** The name that never means anything else: its tag is the hash of what it was made from. */
  name: string;
  /** Names that point to the newest build, for people and manifests. */
  aliases: string[];
  /** Path of a docker-archive that holds it. */
  archive: string;
}

export type ImageName = 'pause' | 'coredns' | 'llama-server' | 'cadre' | 'engine-sim';
export type Images = Partial<Record<ImageName, BuiltImage>> & Record<'pause' | 'coredns' | 'llama-server', BuiltImage>;

/** The images of the cluster's own parts: nodes can't start pods without them. */
export async function ensureClusterImages(log: Log): Promise<Pick<Images, 'pause' | 'coredns'>> {
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

/** Our own image, from the Dockerfile that we ship, of the sources as they are in this checkout. */
export function ensureCadreImage(log: Log): Promise<BuiltImage> {
  return ensureNodeImage(log, 'cadre', {
    folders: ['crds', 'kube', 'process', 'operator', 'runtime', 'cli'],
    project: { extends: join(checkout, 'tsconfig.build.json') },
    dockerfile: join(checkout, 'Dockerfile'),
  });
}

/** The engine simulator's image. */
export function ensureEngineSimImage(log: Log): Promise<BuiltImage> {
  return ensureNodeImage(log, 'engine-sim', {
    folders: ['test/support/engine-sim', 'crds', 'kube', 'process', 'operator', 'runtime', 'cli'],
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

interface Recipe {
  name: ImageName | 'node-base';
  aliases: string[];
  /** Default: that of its folder in `images/`. */
  dockerfile?: string;
  /** Whatever makes another image when it changes, the Dockerfile apart. */
  madeFrom: string[];
  /** Becomes the build argument BASE. */
  base?: BuiltImage;
  /** Writes the files that the Dockerfile copies. */
  context(folder: string): Promise<void>;
}

/** The image from the cache, or built now. */
async function ensureImage(log: Log, recipe: Recipe): Promise<BuiltImage> {
  const dockerfile = recipe.dockerfile ?? join(recipes, recipe.name, 'Dockerfile');
  const hash = createHash('sha256').update(JSON.stringify([await readFile(dockerfile, 'utf8'), recipe.madeFrom]));
  const tag = hash.digest('hex').slice(0, 16);
  const name = `localhost/${recipe.name}:${tag}`;
  const entry = cacheDir('images', `${recipe.name}-${tag}`);
  await withLock(cacheDir('images', recipe.name), log, async () => {
    if (await isIntact(entry)) return;
    const began = Date.now();
    await fillEntry(entry, (folder) => build(log, recipe, { dockerfile, name, folder }));
    await removeUnused(recipe.name);
    log(`built image ${name} in ${elapsed(began)}`);
  });
  const now = new Date();
  await utimes(entry, now, now);
  const aliases = recipe.aliases.map((alias) => `localhost/${recipe.name}:${alias}`);
  return { name, aliases, archive: join(entry, 'image.tar') };
}

interface Build {
  dockerfile: string;
  name: string;
  folder: string;
}

async function build(log: Log, recipe: Recipe, { dockerfile, name, folder }: Build): Promise<{ files: string[] }> {
  const work = await mkdtemp(join(folder, 'work-'));
  const context = join(work, 'context');
  await mkdir(context);
  await recipe.context(recipe.name === 'cadre' ? join(context, 'src') : context);
  await withLock(cacheDir('buildah'), log, async () => {
    const buildah = await openStore(join(work, 'run'), `building image ${name}`, log);
    const from = [];
    if (recipe.base) {
      const there = await buildah(['images', '--quiet', '--filter', `reference=${recipe.base.name}`]);
      if (!there) await buildah(['pull', '--quiet', `docker-archive:${recipe.base.archive}`]);
      // The stage that compiles is replaced by what was compiled here already.
      from.push('--build-arg', `BASE=${recipe.base.name}`, '--build-context', `build=${context}`);
    }
    await buildah([
      'build',
      '--quiet',
      '--layers',
      '--pull-never',
      '--file',
      dockerfile,
      ...from,
      '--tag',
      name,
      context,
    ]);
    await buildah(['push', '--quiet', name, `docker-archive:${join(folder, 'image.tar')}:${name}`]);
    // Its layers stay as long as it does, so that the next build only makes those that changed.
    const older = (
      await buildah(['images', '--format', '{{.Name}}:{{.Tag}}', '--filter', `reference=localhost/${recipe.name}`])
    )
      .split('\n')
      .filter((other) => other && other !== name);
    if (older.length) await buildah(['rmi', ...older]);
    await buildah(['rmi', '--prune']);
  });
  await rm(work, { recursive: true });
  return { files: ['image.tar'] };
}

type Buildah = (args: string[]) => Promise<string>;

/**
 * buildah with a store of our own in the cache, each command in mounts of its own, so that none outlives it. A store that
 * was damaged is thrown away: everything in it can be made again.
 */
async function openStore(runRoot: string, doing: string, log: Log): Promise<Buildah> {
  const root = cacheDir('buildah');
  await mkdir(root, { recursive: true });
  const driver = (await carriesOverlays(root)) ? 'overlay' : 'vfs';
  const buildah: Buildah = (args) =>
    runCommand(
      'unshare',
      [
        '--mount',
        '--propagation=private',
        'buildah',
        '--root',
        root,
        '--runroot',
        runRoot,
        '--storage-driver',
        driver,
        ...args,
      ],
      {
        log,
        doing: `${doing}: buildah ${args[0]}`,
        env: { BUILDAH_ISOLATION: 'chroot' },
        install: 'install buildah (Debian: apt-get install buildah)',
      },
    );
  try {
    await buildah(['images', '--quiet']);
  } catch {
    log(`the image store ${root} is damaged: making it anew`);
    await rm(root, { recursive: true, force: true });
    await mkdir(root, { recursive: true });
  }
  return buildah;
}

/** Images of the cluster are rebuilt in seconds, so only the latest few stay. */
async function removeUnused(name: string): Promise<void> {
  const entries = (await readdir(cacheDir('images'))).filter((entry) =>
    new RegExp(`^${name}-[0-9a-f]{16}`).test(entry),
  );
  const aged = await Promise.all(
    entries.map(async (entry) => ({ entry, age: (await stat(cacheDir('images', entry))).mtimeMs })),
  );
  for (const { entry } of aged.toSorted((a, b) => b.age - a.age).slice(3)) {
    await rm(cacheDir('images', entry), { recursive: true, force: true });
  }
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
