import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Registry } from 'prom-client';
import { afterEach, describe, expect, it } from 'vitest';
import { UserError } from './errors.ts';
import { createRegistry } from './metrics.ts';
import { listen, serveProbes } from './probes.ts';

const open: { close(): unknown }[] = [];
afterEach(() => {
  for (const server of open.splice(0)) server.close();
});

async function probes(healthy: string | undefined, ready: string | undefined, registry = new Registry()) {
  const server = await serveProbes(
    { healthy: () => healthy, ready: () => ready, registry },
    { host: '127.0.0.1', port: 0, setting: '--port' },
  );
  open.push(server);
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

describe('the probes of a process', () => {
  it('answer 200 while all is well', async () => {
    const url = await probes(undefined, undefined);
    expect((await fetch(`${url}/healthz`)).status).toBe(200);
    expect((await fetch(`${url}/readyz?verbose`)).status).toBe(200);
  });

  it('answer 503 with the reason in words', async () => {
    const url = await probes(undefined, 'the cache of pods is not complete yet');
    const response = await fetch(`${url}/readyz`);
    expect(response.status).toBe(503);
    expect(await response.text()).toContain('the cache of pods is not complete yet');
  });

  it("carry Node's own metrics", async () => {
    const url = await probes(undefined, undefined, createRegistry());
    const response = await fetch(`${url}/metrics`);
    expect(response.headers.get('content-type')).toContain('text/plain');
    expect(await response.text()).toContain('process_resident_memory_bytes');
  });

  it('answer 404 to anything else', async () => {
    const url = await probes(undefined, undefined);
    expect((await fetch(`${url}/`)).status).toBe(404);
  });
});

describe('listening', () => {
  it('names the setting when the port is taken', async () => {
    const first = createServer();
    open.push(first);
    const port = await listen(first, { host: '127.0.0.1', port: 0, setting: '--port' });
    const second = listen(createServer(), { host: '127.0.0.1', port, setting: '--port' });
    await expect(second).rejects.toThrow(UserError);
    await expect(second).rejects.toThrow(
      `cannot listen on 127.0.0.1:${port}: another process listens there; set --port`,
    );
  });
});
