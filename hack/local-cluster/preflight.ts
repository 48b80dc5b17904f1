import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { UserError } from '../../process/errors.ts';
import type { Log } from '../cache.ts';
import { runCommand } from '../command.ts';
import { cniPlugins } from './node-config.ts';

/** What the node and its images need of the machine, and the Debian package that brings it. */
const tools = {
  runc: 'runc',
  nft: 'nftables',
  iptables: 'iptables',
  ip: 'iproute2',
  mount: 'mount',
  nsenter: 'util-linux',
  openssl: 'openssl',
  buildah: 'buildah',
  ldd: 'libc-bin',
  [`${cniPlugins}/bridge`]: 'containernetworking-plugins',
  '/etc/ssl/certs/ca-certificates.crt': 'ca-certificates',
};

const elsewhere =
  'elsewhere use a cluster of your own, e.g. "kind create cluster", and install the chart there with helm';

/** Throws a `UserError` in one line where the cluster can't be. */
export function checkMachine(machine: { platform: string; uid: number | undefined }): void {
  if (machine.platform !== 'linux') {
    throw new UserError('NotLinux', `the local cluster needs Linux, this is ${machine.platform}; ${elsewhere}`);
  }
  if (machine.uid !== 0) {
    throw new UserError(
      'NotRoot',
      `the local cluster needs root, for a node has mounts and networks: use sudo; ${elsewhere}`,
    );
  }
}

/** Installs the tools that are missing, on machines with apt. */
export async function ensureTools(log: Log): Promise<void> {
  const missing = Object.entries(tools).filter(([tool]) => !isInstalled(tool));
  if (missing.length === 0) return;
  const packages = [...new Set(missing.map(([, name]) => name))];
  const install = `install what these Debian packages bring: ${packages.join(' ')}; ${elsewhere}`;
  const options = { log, install, env: { DEBIAN_FRONTEND: 'noninteractive' } };
  log(`installing Debian packages: ${packages.join(' ')}`);
  await runCommand('apt-get', ['update', '-q'], { ...options, doing: 'apt-get update' });
  await runCommand('apt-get', ['install', '-y', '-q', '--no-install-recommends', ...packages], {
    ...options,
    doing: 'apt-get install',
  });
  const still = Object.keys(tools).filter((tool) => !isInstalled(tool));
  if (still.length) throw new UserError('ToolsMissing', `still missing after apt-get install: ${still.join(', ')}`);
}

function isInstalled(tool: string): boolean {
  if (tool.startsWith('/')) return existsSync(tool);
  // Debian keeps some of them where only root's PATH leads.
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/sbin'];
  return folders.some((folder) => existsSync(join(folder, tool)));
}
