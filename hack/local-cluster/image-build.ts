import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { cacheDir, fillEntry, isIntact, type Log, withLock } from '../cache.ts';
import { elapsed, runCommand } from '../command.ts';
import { carriesOverlays } from './overlay.ts';

/** The folder of the Dockerfiles that are for this cluster only. */
export const recipes = join(import.meta.dirname, 'images');

/** An image that is ready to be loaded into a node. */
export interface BuiltImage {
  /** The name that never means anything else: its tag is the hash of what it was made from. */
  name: string;
  /** Names that point to the newest build, for people and manifests. */
  aliases: string[];
  /** Path of a docker-archive that holds it. */
  archive: string;
}

/** What an image is made of. */
export interface Recipe {
  name: 'pause' | 'coredns' | 'llama-server' | 'cadre' | 'engine-sim' | 'node-base';
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
export async function ensureImage(log: Log, recipe: Recipe): Promise<BuiltImage> {
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
    // Containers of a build that was interrupted would keep their images for ever.
    await buildah(['rm', '--all']);
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
