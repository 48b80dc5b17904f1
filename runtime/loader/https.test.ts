import { readFile, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { Agent, type Dispatcher } from 'undici';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { sha256 } from '../../test/support/hub/hub.ts';
import { ggufFile } from '../../test/support/hub/models.ts';
import { sendFile, type Transfer } from '../../test/support/hub/transfer.ts';
import { loading, modelFolder } from '../../test/support/loading.ts';
import { runLoader } from './main.ts';
import type { LoaderOptions } from './options.ts';

const gguf = ggufFile(2_000_000);

/** https hosts that live in one local server: the connection goes there, everything above sees the names. */
let server: Server;
let agent: Agent;
let handlers: Record<string, (request: IncomingMessage, response: ServerResponse) => void>;
let seen: { host: string; path: string; authorization: string | undefined; range: string | undefined }[];

beforeEach(async () => {
  seen = [];
  handlers = {};
  server = createServer((request, response) => {
    const { host = '', authorization, range } = request.headers;
    seen.push({ host, path: request.url ?? '', authorization, range });
    const handler = handlers[host];
    if (handler) handler(request, response);
    else response.writeHead(404).end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  agent = new Agent();
});
afterEach(async () => {
  await agent.destroy();
  server.closeAllConnections();
  server.close();
});

function named(): Dispatcher {
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return agent.compose((dispatch) => (options, handler) => {
    const { host } = new URL(String(options.origin));
    return dispatch({ ...options, origin, headers: { ...(options.headers as Record<string, string>), host } }, handler);
  });
}

function fromServer(to: string, options: Partial<LoaderOptions> = {}): LoaderOptions {
  return loading(to, {
    uri: 'https://models.example/v1/tickets.gguf',
    sha256: sha256(gguf),
    ...options,
    tuning: { dispatcher: named(), ...options.tuning },
  });
}

function serve(host: string, transfers: Transfer[] = [], etag = '"v1"'): void {
  handlers[host] = (request, response) => sendFile(request, response, gguf, { etag }, transfers.shift());
}

describe('a file from a web server', () => {
  it('is verified against model.sha256 and put in place under its own name', async () => {
    await using folder = await modelFolder();
    serve('models.example');
    const report = await runLoader(fromServer(folder.path));
    expect(report).toMatchObject({ digest: `sha256:${sha256(gguf)}`, bytes: 2_000_000 });
    expect(await readFile(join(folder.path, 'tickets.gguf'))).toEqual(gguf);
  });

  it('is refused when it has another checksum', async () => {
    await using folder = await modelFolder();
    serve('models.example');
    await expect(runLoader(fromServer(folder.path, { sha256: 'd'.repeat(64) }))).rejects.toMatchObject({
      code: 'ChecksumMismatch',
      message: expect.stringContaining(`has SHA-256 ${sha256(gguf)}, expected ${'d'.repeat(64)}`),
    });
  });

  it('is refused when it matches but is not a GGUF file', async () => {
    await using folder = await modelFolder();
    const text = Buffer.from('<html>not found, but politely</html>');
    handlers['models.example'] = (request, response) => sendFile(request, response, text, {});
    await expect(runLoader(fromServer(folder.path, { sha256: sha256(text) }))).rejects.toMatchObject({
      code: 'NotAGguf',
    });
  });

  it('starts again when it changed on the server between two attempts', async () => {
    await using folder = await modelFolder();
    const old: Transfer = { cutAfter: 1_000_000, content: ggufFile(2_000_000, 5), headers: { etag: '"old"' } };
    serve('models.example', [old]);
    await runLoader(fromServer(folder.path));
    expect(seen[1]?.range).toMatch(/^bytes=\d+-$/);
    expect(await readFile(join(folder.path, 'tickets.gguf'))).toEqual(gguf);
  });

  it('is complete when a server has nothing after the last byte', async () => {
    await using folder = await modelFolder();
    await writeFile(join(folder.path, 'tickets.gguf.part'), gguf);
    serve('models.example');
    await runLoader(fromServer(folder.path));
    expect(seen).toMatchObject([{ range: 'bytes=2000000-' }]);
  });

  it('is loaded by servers that know no ranges', async () => {
    await using folder = await modelFolder();
    serve('models.example', [{ cutAfter: 1_000_000 }, { ignoreRange: true }]);
    await runLoader(fromServer(folder.path));
    expect(await readFile(join(folder.path, 'tickets.gguf'))).toEqual(gguf);
  });

  it.each([
    [401, 'Unauthorized'],
    [403, 'Unauthorized'],
    [404, 'ModelNotFound'],
    [418, 'DownloadFailed'],
  ])('is given up at status %i with %s', async (status, code) => {
    await using folder = await modelFolder();
    serve('models.example', [{ status }]);
    await expect(runLoader(fromServer(folder.path))).rejects.toMatchObject({ code });
    expect(seen).toHaveLength(1);
  });

  it('needs a place for it on the disk', async () => {
    await using folder = await modelFolder();
    serve('models.example');
    const options = fromServer(folder.path, { tuning: { dispatcher: named(), freeBytes: () => Promise.resolve(10) } });
    await expect(runLoader(options)).rejects.toMatchObject({ code: 'DiskFull' });
  });

  it('needs a checksum, and an engine that serves single files', async () => {
    await using folder = await modelFolder();
    await expect(runLoader(fromServer(folder.path, { sha256: undefined }))).rejects.toMatchObject({
      code: 'InvalidSource',
    });
    await expect(runLoader(fromServer(folder.path, { engine: 'VLLM' }))).rejects.toMatchObject({
      code: 'InvalidSource',
    });
    expect(seen).toEqual([]);
  });
});

describe('redirects', () => {
  it('are followed to other hosts, without the token', async () => {
    await using folder = await modelFolder();
    handlers['models.example'] = (_request, response) =>
      response.writeHead(302, { location: 'https://cdn.example/blob?signature=x' }).end();
    serve('cdn.example');
    await runLoader(fromServer(folder.path, { token: 'secret' }));
    expect(seen).toMatchObject([
      { host: 'models.example', authorization: 'Bearer secret' },
      { host: 'cdn.example', authorization: undefined },
    ]);
  });

  it.each(['http://cdn.example/x', 'file:///etc/passwd', 'https://user:pass@cdn.example/x'])(
    'to %s are refused',
    async (location) => {
      await using folder = await modelFolder();
      handlers['models.example'] = (_request, response) => response.writeHead(302, { location }).end();
      await expect(runLoader(fromServer(folder.path))).rejects.toMatchObject({ code: 'DownloadFailed' });
      expect(seen).toHaveLength(1);
    },
  );

  it('end after five', async () => {
    await using folder = await modelFolder();
    handlers['models.example'] = (_request, response) => response.writeHead(307, { location: '/again' }).end();
    await expect(runLoader(fromServer(folder.path))).rejects.toMatchObject({
      code: 'DownloadFailed',
      message: expect.stringContaining('more than 5 times'),
    });
    expect(seen).toHaveLength(6);
  });
});
