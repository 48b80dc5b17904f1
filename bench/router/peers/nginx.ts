import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { cacheDir, fillEntry, isIntact, type Log, withLock } from '../../../hack/cache.ts';
import { runCommand } from '../../../hack/command.ts';
import type { Running } from '../programs.ts';
import { freePort, startPeer } from './process.ts';

/** nginx as a plain proxy with connections that are kept: what a proxy in C costs that reads nothing. */
export async function startNginx(backendPort: number, processes: number): Promise<Running> {
  const program = await ensureNginx((line) => console.log(line));
  const port = await freePort();
  const folder = await mkdtemp(join(tmpdir(), 'cadre-nginx-'));
  await mkdir(join(folder, 'temporary'));
  const config = join(folder, 'nginx.conf');
  await writeFile(config, configuration({ folder, port, backendPort, processes }));
  const peer = await startPeer(program, ['-p', folder, '-c', config], { port });
  return {
    ports: [port],
    headers: [],
    pids: [peer.pid],
    async stop() {
      await peer.stop();
      await rm(folder, { recursive: true });
    },
  };
}

interface Settings {
  folder: string;
  port: number;
  backendPort: number;
  processes: number;
}

function configuration({ folder, port, backendPort, processes }: Settings): string {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => {
    return `  ${name}_temp_path ${folder}/temporary/${name};`;
  });
  return `daemon off;
worker_processes ${processes};
pid ${folder}/nginx.pid;
error_log stderr error;
events { worker_connections 4096; }
http {
  access_log off;
  keepalive_requests 1000000;
${temporary.join('\n')}
  upstream backend {
    server 127.0.0.1:${backendPort};
    keepalive 64;
    keepalive_requests 1000000;
  }
  server {
    listen 127.0.0.1:${port};
    location / {
      proxy_pass http://backend;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_buffering off;
    }
  }
}
`;
}

/** nginx as the machine's Debian packages it, unpacked into the cache; the machine's packages stay as they are. */
async function ensureNginx(log: Log): Promise<string> {
  const entry = cacheDir('bench', `nginx-${process.arch}`);
  await withLock(entry, log, async () => {
    if (await isIntact(entry)) return;
    await fillEntry(entry, async (folder) => {
      const install = 'nginx comes from a Debian package, so use a Debian machine whose "apt-get update" has been run';
      const run = (command: string, args: string[], doing: string) =>
        runCommand(command, args, { log, doing, cwd: folder, install });
      await run('apt-get', ['download', '-q', 'nginx'], 'downloading nginx');
      const deb = (await readdir(folder)).find((name) => name.endsWith('.deb')) ?? '';
      await run('dpkg-deb', ['-x', deb, folder], 'unpacking nginx');
      return { files: ['usr/sbin/nginx'] };
    });
  });
  return join(entry, 'usr/sbin/nginx');
}
