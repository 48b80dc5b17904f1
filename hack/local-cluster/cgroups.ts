import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rmdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { UserError } from '../../process/errors.ts';
import type { Network } from './network.ts';
import { waitUntil } from './processes.ts';

const root = '/sys/fs/cgroup';

/** The cgroup under which the kubelet keeps its pods, below the root of each hierarchy. */
export function cgroupRoot(network: Network): string {
  return `/cadre-local-${network.index}`;
}

/** One folder in version 2, one for each controller in version 1. */
async function hierarchies(): Promise<string[]> {
  if (existsSync(join(root, 'cgroup.controllers'))) return [root];
  const entries = await readdir(root, { withFileTypes: true }).catch(() => []);
  return entries.filter((entry) => entry.isDirectory()).map((entry) => join(root, entry.name));
}

/** Makes the cluster's cgroup in every hierarchy: the kubelet wants to find it. */
export async function makeCgroups(network: Network): Promise<void> {
  for (const hierarchy of await hierarchies()) {
    const path = join(hierarchy, cgroupRoot(network));
    await mkdir(path, { recursive: true });
    // In version 1 a new cpuset is empty, and nothing can run in it.
    for (const name of ['cpuset.cpus', 'cpuset.mems']) {
      const own = join(path, name);
      if (existsSync(own) && (await readFile(own, 'utf8')).trim() === '') {
        await writeFile(own, await readFile(join(hierarchy, name), 'utf8'));
      }
    }
  }
}

/** Removes the cluster's cgroups, which must be without processes. */
export async function removeCgroups(network: Network): Promise<void> {
  for (const hierarchy of await hierarchies()) {
    const path = join(hierarchy, cgroupRoot(network));
    // Those of processes that were just killed stay busy for a moment.
    const removed = await waitUntil(() => removeTree(path), 10_000);
    if (!removed) throw new UserError('CgroupRemains', `the cgroup ${path} does not go away: processes in it?`);
  }
}

async function removeTree(path: string): Promise<boolean> {
  try {
    const entries = await readdir(path, { withFileTypes: true });
    for (const entry of entries) if (entry.isDirectory() && !(await removeTree(join(path, entry.name)))) return false;
    await rmdir(path);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT';
  }
}
