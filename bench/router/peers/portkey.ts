import { join } from 'node:path';
import { cacheDir, fillEntry, isIntact, type Log, withLock } from '../../../hack/cache.ts';
import { runCommand } from '../../../hack/command.ts';
import type { Running } from '../programs.ts';
import { freePort, startPeer } from './process.ts';

const version = '1.15.2';

/** Portkey's gateway, which runs on Node as we do. */
export async function startPortkey(backendPort: number, processes: number): Promise<Running> {
  const script = await ensurePortkey((line) => console.log(line));
  const ports = await Promise.all(Array.from({ length: processes }, freePort));
  const peers = await Promise.all(
    ports.map((port) => {
      return startPeer(process.execPath, [script, `--port=${port}`, '--headless'], {
        port,
        env: { NODE_ENV: 'production', TRUSTED_CUSTOM_HOSTS: '127.0.0.1' },
      });
    }),
  );
  return {
    ports,
    headers: [
      'authorization',
      'Bearer none',
      'x-portkey-provider',
      'openai',
      'x-portkey-custom-host',
      `http://127.0.0.1:${backendPort}/v1`,
    ],
    pids: peers.map(({ pid }) => pid),
    async stop() {
      await Promise.all(peers.map((peer) => peer.stop()));
    },
  };
}

async function ensurePortkey(log: Log): Promise<string> {
  const entry = cacheDir('bench', `portkey-${version}`);
  const script = 'node_modules/@portkey-ai/gateway/build/start-server.js';
  await withLock(entry, log, async () => {
    if (await isIntact(entry)) return;
    log(`installing Portkey's gateway ${version}`);
    await fillEntry(entry, async (folder) => {
      const args = ['install', '--prefix', folder, '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'];
      await runCommand('npm', [...args, `@portkey-ai/gateway@${version}`], {
        log,
        doing: "installing Portkey's gateway",
        install: 'install npm',
      });
      return { files: [script] };
    });
  });
  return join(entry, script);
}
