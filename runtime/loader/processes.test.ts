import { type ChildProcess, spawn } from 'node:child_process';
import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { untilSeen } from '../../process/testing/waiting.ts';
import { type Hub, startHub } from '../../test/support/hub/hub.ts';
import { ggufFile } from '../../test/support/hub/models.ts';
import { loading, modelFolder } from '../../test/support/loading.ts';
import { runLoader } from './main.ts';

const gguf = ggufFile(4_000_000);
const uri = 'hf://acme/tickets-gguf/tickets.gguf';
const script = fileURLToPath(new URL('../../test/support/loader-process.ts', import.meta.url));

let hub: Hub;
let children: ChildProcess[];
beforeEach(async () => {
  children = [];
  hub = await startHub({ 'acme/tickets-gguf': { files: { 'tickets.gguf': gguf } } });
});
afterEach(async () => {
  for (const child of children) child.kill('SIGKILL');
  await hub.close();
});

function loader(
  to: string,
  options: object,
): { child: ChildProcess; ended: Promise<number | string>; output: () => string } {
  const text = JSON.stringify({ uri, hubEndpoint: hub.endpoint, ...options });
  const child = spawn(process.execPath, [script, to, text], { stdio: ['ignore', 'pipe', 'pipe'] });
  children.push(child);
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (output += chunk.toString()));
  const ended = new Promise<number | string>((resolve) =>
    child.once('exit', (code, signal) => resolve(code ?? signal ?? '')),
  );
  return { child, ended, output: () => output };
}

/** The next transfer stands still in the middle; resolves when it does. */
function stalledTransfer(after: number): Promise<void> {
  return new Promise((resolve) => hub.transfers.push({ stallAfter: after, onStall: () => resolve() }));
}

async function untilPartHas(folder: string, bytes: number): Promise<void> {
  const size = async () => (await stat(join(folder, 'tickets.gguf.part')).catch(() => undefined))?.size ?? 0;
  await untilSeen(size, (now) => now >= bytes);
}

// Processes start slowly where many share two cores.
const timeout = 120_000;

describe('a loader that is killed', { timeout }, () => {
  it('in the middle of a file leaves a part that the next one resumes', async () => {
    await using folder = await modelFolder();
    const stalled = stalledTransfer(2_000_000);
    const first = loader(folder.path, {});
    await stalled;
    await untilPartHas(folder.path, 1_000_000);
    first.child.kill('SIGKILL');
    expect(await first.ended).toBe('SIGKILL');
    expect(await readdir(folder.path)).not.toContain('tickets.gguf');

    expect(await loader(folder.path, {}).ended).toBe(0);
    expect(await readFile(join(folder.path, 'tickets.gguf'))).toEqual(gguf);
    const resumed = hub.requests.find(({ server, status }) => server === 'cdn' && status === 206);
    expect(Number(/\d+/.exec(resumed?.range ?? '')?.[0])).toBeGreaterThanOrEqual(1_000_000);
  });

  it('by SIGTERM ends at once, and says that it was interrupted', async () => {
    await using folder = await modelFolder();
    const stalled = stalledTransfer(1_000_000);
    const run = loader(folder.path, {});
    await stalled;
    await untilPartHas(folder.path, 1);
    run.child.kill('SIGTERM');
    expect(await run.ended).toBe(1);
    const message = JSON.parse(await readFile(`${folder.path}.termination`, 'utf8')) as { code: string };
    expect(message.code).toBe('Interrupted');
  });

  it('while it owns a shared folder is succeeded by one of those that wait', async () => {
    await using folder = await modelFolder();
    const tuning = { leaseMs: 6_000 };
    const stalled = stalledTransfer(2_000_000);
    const owner = loader(folder.path, { shared: true, tuning });
    await stalled;
    await untilPartHas(folder.path, 1_000_000);
    const options = loading(folder.path, { uri, hubEndpoint: hub.endpoint, shared: true, tuning });
    const waiting = [runLoader(options), runLoader(options), runLoader(options)];
    owner.child.kill('SIGKILL');
    for (const { bytes } of await Promise.all(waiting)) expect(bytes).toBe(gguf.length);
    expect(await readFile(join(folder.path, 'tickets.gguf'))).toEqual(gguf);
    const transfers = hub.requests.filter(({ server }) => server === 'cdn');
    expect(transfers.map(({ status }) => status)).toEqual([200, 206]);
  });

  it('never leaves a file that is not whole, wherever it was', async () => {
    await using folder = await modelFolder();
    for (let round = 0; round < 3; round++) {
      const stalled = stalledTransfer(200_000 * (round + 1));
      const run = loader(folder.path, {});
      await stalled;
      run.child.kill('SIGKILL');
      await run.ended;
      expect(await readdir(folder.path)).not.toContain('tickets.gguf');
    }
    expect(await loader(folder.path, {}).ended).toBe(0);
    expect(await readFile(join(folder.path, 'tickets.gguf'))).toEqual(gguf);
  });
});

describe('a shared folder', { timeout }, () => {
  it('is filled once by many loaders at the same time', async () => {
    await using folder = await modelFolder();
    const many = Array.from({ length: 4 }, () => loader(folder.path, { shared: true }));
    expect(await Promise.all(many.map(({ ended }) => ended))).toEqual([0, 0, 0, 0]);
    expect(await readFile(join(folder.path, 'tickets.gguf'))).toEqual(gguf);
    expect(hub.requests.filter(({ server }) => server === 'cdn').length).toBe(1);
  });

  it('belongs to the next one at once when its owner failed', async () => {
    await using folder = await modelFolder();
    hub.failures.push({ status: 404, headers: { 'x-error-code': 'RepoNotFound' } });
    const options = loading(folder.path, {
      uri,
      hubEndpoint: hub.endpoint,
      shared: true,
      tuning: { leaseMs: 600_000 },
    });
    await expect(runLoader(options)).rejects.toMatchObject({ code: 'ModelNotFound' });
    expect(await runLoader(options)).toMatchObject({ bytes: gguf.length });
  });

  it('stays whole when an owner wakes up that was paused for longer than its lease', async () => {
    await using folder = await modelFolder();
    const tuning = { leaseMs: 6_000 };
    let resume = (): void => undefined;
    const stalled = new Promise<void>((resolve) => {
      hub.transfers.push({
        stallAfter: 2_000_000,
        onStall: (go) => {
          resume = go;
          resolve();
        },
      });
    });
    const paused = loader(folder.path, { shared: true, tuning });
    await stalled;
    await untilPartHas(folder.path, 1_000_000);
    paused.child.kill('SIGSTOP');
    const options = loading(folder.path, { uri, hubEndpoint: hub.endpoint, shared: true, tuning });
    expect(await runLoader(options)).toMatchObject({ bytes: gguf.length });
    resume();
    paused.child.kill('SIGCONT');
    expect(await paused.ended).toBe(0);
    expect(paused.output()).toContain('took the shared folder over');
    expect(await readFile(join(folder.path, 'tickets.gguf'))).toEqual(gguf);
  });

  it('of which another loader holds the lock is waited for, and used when the lock is old', async () => {
    await using folder = await modelFolder();
    await writeFile(join(folder.path, '.cadre-lock.7'), 'gone/1/x 3');
    const options = loading(folder.path, { uri, hubEndpoint: hub.endpoint, shared: true, tuning: { leaseMs: 300 } });
    expect(await runLoader(options)).toMatchObject({ bytes: gguf.length });
    expect((await readdir(folder.path)).filter((name) => name.startsWith('.cadre-lock'))).toEqual(['.cadre-lock.8']);
  });

  it.each(['9007199254740991', '9007199254740993', '9'.repeat(200)])(
    'with a lock number of %s is refused',
    async (n) => {
      await using folder = await modelFolder();
      await writeFile(join(folder.path, `.cadre-lock.${n}`), 'released');
      const options = loading(folder.path, { uri, hubEndpoint: hub.endpoint, shared: true });
      const message = expect.stringContaining(`remove it from ${folder.path}`) as unknown;
      await expect(runLoader(options)).rejects.toMatchObject({ code: 'NotWritable', message });
      expect(await readdir(folder.path)).toEqual([`.cadre-lock.${n}`]);
    },
  );
});
