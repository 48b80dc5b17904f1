import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, rm, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { UserError } from '../../process/errors.ts';
import { cacheDir, fillEntry, isIntact, type Log, withLock } from '../cache.ts';
import { elapsed, runCommand } from '../command.ts';

const run = promisify(execFile);
const source = join(import.meta.dirname, 'go');
const unusedDays = 14;

/** Every Go program of the local cluster: the package that it is built from. */
const programs = {
  cluster: './cluster',
  pause: './pause',
  containerd: 'github.com/containerd/containerd/v2/cmd/containerd',
  'containerd-shim-runc-v2': 'github.com/containerd/containerd/v2/cmd/containerd-shim-runc-v2',
  ctr: 'github.com/containerd/containerd/v2/cmd/ctr',
  helm: 'helm.sh/helm/v4/cmd/helm',
};

const buildFlags = ['-trimpath'];

/** Paths of the built programs. */
export type Binaries = Record<keyof typeof programs, string> & {
  /** The folder they are in, which holds nothing else that is executable. */
  folder: string;
};

/**
 * The local cluster's programs, from the cache when these sources were built before, else built now, which takes minutes
 * and needs Go. A damaged entry of the cache is built again.
 */
export async function ensureBinaries(log: Log): Promise<Binaries> {
  const [sources, version] = await Promise.all([digestSources(), goVersion()]);
  const entry = cacheDir('go', `${sources}-${version ?? ''}`);
  if (version !== undefined && (await isIntact(entry))) return use(entry);
  if (version === undefined) {
    const built = await builtBefore(sources);
    if (built) return use(built);
    throw new UserError('GoMissing', `the local cluster is built from source and Go is missing: ${installGo}`);
  }
  return withLock(entry, log, async () => {
    if (!(await isIntact(entry))) {
      await fillEntry(entry, (folder) => build(folder, log));
      await removeUnused(log);
    }
    return use(entry);
  });
}

async function use(entry: string): Promise<Binaries> {
  const now = new Date();
  await utimes(entry, now, now);
  const paths = Object.keys(programs).map((name) => [name, join(entry, name)]);
  return { ...Object.fromEntries(paths), folder: entry } as Binaries;
}

/** The linker writes the versions that programs report; their numbers stand in go.mod and nowhere else. */
export function linkerFlags(goMod: string): string {
  const version = (module: string): string => {
    const found = goMod.match(new RegExp(`^\\s*${module.replaceAll('.', '\\.')} (v[^\\s]+)`, 'm'))?.[1];
    if (found === undefined) throw new Error(`go.mod does not name ${module}`);
    return found;
  };
  const kubernetes = version('k8s.io/kubernetes');
  const [major, minor] = kubernetes.slice(1).split('.');
  const values = {
    'k8s.io/component-base/version.gitVersion': kubernetes,
    'k8s.io/component-base/version.gitMajor': major,
    'k8s.io/component-base/version.gitMinor': minor,
    'k8s.io/component-base/version.gitTreeState': 'clean',
    'github.com/containerd/containerd/v2/version.Version': version('github.com/containerd/containerd/v2'),
    'helm.sh/helm/v4/internal/version.version': version('helm.sh/helm/v4'),
  };
  return ['-s', '-w', ...Object.entries(values).map(([name, value]) => `-X ${name}=${value}`)].join(' ');
}

async function build(folder: string, log: Log): Promise<{ files: string[] }> {
  const flags = linkerFlags(await readFile(join(source, 'go.mod'), 'utf8'));
  const packages = Object.values(programs);
  const options = { log, cwd: source, env: { CGO_ENABLED: '0', GOFLAGS: '', GOWORK: 'off' }, install: installGo };
  const began = Date.now();
  log('building Kubernetes, etcd, containerd, CoreDNS and Helm from source: 10 to 20 minutes the first time');
  await runCommand('go', ['mod', 'download'], { ...options, doing: 'downloading Go modules' });
  const all = await runCommand('go', ['list', '-deps', ...packages], { ...options, doing: 'listing Go packages' });
  const total = all.split('\n').length;
  let compiled = 0;
  await runCommand('go', ['build', ...buildFlags, '-v', '-ldflags', flags, '-o', `${folder}/`, ...packages], {
    ...options,
    doing: () => `compiling Go packages: ${compiled} of at most ${total}`,
    onLine(line) {
      // `-v` names the packages that were compiled; those that Go's own cache holds pass without a word.
      const isPackage = /^(?:[\w.-]+\/)*[\w.-]+$/.test(line);
      if (isPackage) compiled++;
      return isPackage;
    },
  });
  log(`built in ${elapsed(began)}`);
  return { files: Object.keys(programs) };
}

const installGo = 'install Go 1.21 or newer from https://go.dev/dl and put it on PATH';

async function goVersion(): Promise<string | undefined> {
  try {
    return (await run('go', ['env', 'GOVERSION'], { cwd: source })).stdout.trim();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new UserError('GoUnusable', `go does not run: ${(error as Error).message}`, { cause: error });
  }
}

async function digestSources(): Promise<string> {
  const hash = createHash('sha256');
  const names = await readdir(source, { recursive: true });
  for (const name of names.filter((file) => /(?:\.go|go\.mod|go\.sum)$/.test(file)).toSorted()) {
    hash
      .update(`${name}\0`)
      .update(await readFile(join(source, name)))
      .update('\0');
  }
  const flags = linkerFlags(await readFile(join(source, 'go.mod'), 'utf8'));
  hash.update(JSON.stringify([programs, buildFlags, flags, process.arch]));
  return hash.digest('hex').slice(0, 16);
}

async function builtBefore(sources: string): Promise<string | undefined> {
  const entries = await readdir(cacheDir('go')).catch(() => []);
  for (const name of entries.filter((entry) => entry.startsWith(`${sources}-`))) {
    if (await isIntact(cacheDir('go', name))) return cacheDir('go', name);
  }
  return undefined;
}

/** An entry is some 400 MB; those that nobody used for two weeks go, as do the remains of interrupted builds. */
async function removeUnused(log: Log): Promise<void> {
  await mkdir(cacheDir('go'), { recursive: true });
  for (const name of await readdir(cacheDir('go'))) {
    const path = cacheDir('go', name);
    const ageDays = (Date.now() - (await stat(path)).mtimeMs) / 86_400_000;
    if (ageDays < (name.includes('.tmp-') ? 1 : unusedDays)) continue;
    log(`removing ${path}, unused for ${Math.floor(ageDays)} days`);
    await rm(path, { recursive: true, force: true });
  }
}
