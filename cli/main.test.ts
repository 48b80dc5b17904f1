import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, it } from 'vitest';
import { temporaryFolder } from '../process/testing/temporary-folder.ts';

const main = fileURLToPath(new URL('main.ts', import.meta.url));

/** What a person sees who calls `cadre` with these arguments. */
async function cadre(...args: string[]) {
  const child = spawn(process.execPath, [main, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  let [stdout, stderr] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const [status] = (await once(child, 'close')) as [number | null];
  return { status, stdout, stderr };
}

describe('cadre', () => {
  it('says what there is', async () => {
    const { status, stdout } = await cadre('--help');
    expect(status).toBe(0);
    for (const name of ['serve', 'compile', 'operator', 'router', 'load', 'sidecar'])
      expect(stdout).toMatch(new RegExp(`^  ${name} `, 'm'));
  });

  it('says its version', async () => {
    expect(await cadre('--version')).toEqual({ status: 0, stdout: '0.1.0\n', stderr: '' });
  });

  it.each([
    [['operato'], "unknown command 'operato'", 'Did you mean operator?'],
    [['operator', '--confg', 'x'], "unknown option '--confg'", 'Did you mean --config?'],
    [['operator'], '--config <file> must be given', 'Run with --help'],
    [['load', '--uri', 'pvc://a/b'], '--engine <type>, --to <folder> must be given', 'Run with --help'],
    [['sidecar', '--port', '99999'], 'must be a port, 0 to 65535', 'Run with --help'],
    [['sidecar', '--drain-delay', '5 parsecs'], 'is not a duration', 'Run with --help'],
    [['sidecar', '--engine', 'Steam'], 'Allowed choices are VLLM, LlamaCpp', 'Run with --help'],
    [['router', '--log-level', 'loud'], 'Allowed choices are debug, info, warn, error', 'Run with --help'],
    [['operator', '--config', 'x', 'more'], 'too many arguments', 'Run with --help'],
    [['serve'], '--file <path> must be given', 'Run with --help'],
    [['serve', '-f', 'x', '--endpoint', 'http://127.0.0.1:1'], 'must be NAME=URL', 'Run with --help'],
    [['serve', '-f', 'x', '--endpoint', 'small=127.0.0.1:1'], 'must begin with http://', 'Run with --help'],
    [
      ['serve', '-f', 'x', '--endpoint', 'small=http://a:1/v1'],
      'scheme, host and port: http://a:1.',
      'Run with --help',
    ],
    [['serve', '-f', 'x', '--engine', 'small=Steam'], 'must be one of VLLM, LlamaCpp', 'Run with --help'],
    [['serve', '-f', 'x', '--secret-env', 'openai=KEY'], 'must be NAME/KEY=VARIABLE', 'Run with --help'],
    [['serve', '-f', 'x', '--listen', 'localhost'], 'must be HOST:PORT', 'Run with --help'],
    [['compile', '-f', 'x', '-o', 'xml'], 'Allowed choices are yaml, json', 'Run with --help'],
  ])('called as %j says in two lines what is wrong and what to do', async (args, problem, hint) => {
    const { status, stdout, stderr } = await cadre(...args);
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
    expect(stderr).toContain(problem);
    expect(stderr).toContain(hint);
    expect(stderr.trim().split('\n').length).toBeLessThanOrEqual(3);
  });
});

describe('a program that cannot start', () => {
  let dir: string;
  const good = [
    'image: cadre',
    'namespace: cadre-system',
    'routerSelector: {app: router}',
    'operatorSelector: {app: operator}',
    'routeOwner: {apiVersion: v1, kind: ConfigMap, plural: configmaps, name: cadre}',
    'engines: {VLLM: {image: vllm}, LlamaCpp: {image: llama}}',
  ].join('\n');

  beforeAll(async () => {
    const made = await temporaryFolder('cli');
    dir = made.path;
    return made.remove;
  });

  it('names the configuration file that is not there', async () => {
    const { status, stderr } = await cadre('operator', '--config', join(dir, 'none.yaml'));
    expect(status).toBe(1);
    expect(stderr).toContain('none.yaml');
    expect(stderr).not.toContain('    at ');
  });

  it.each(['serve', 'compile'])('names the manifests that are not there: %s', async (command) => {
    const { status, stderr } = await cadre(command, '-f', join(dir, 'none.yaml'));
    expect([status, stderr]).toEqual([1, `cadre: ${join(dir, 'none.yaml')}: no such file or folder\n`]);
  });

  it('names the variable that is not set', async () => {
    const { status, stderr } = await cadre('serve', '-f', dir, '--secret-env', 'openai/token=CADRE_NO_SUCH_KEY');
    const problem = '--secret-env openai/token=CADRE_NO_SUCH_KEY: $CADRE_NO_SUCH_KEY is not set; export it';
    expect([status, stderr]).toEqual([1, `cadre: ${problem}\n`]);
  });

  it('names each wrong field of its configuration', async () => {
    const file = join(dir, 'wrong.yaml');
    await writeFile(file, `${good}\ngpuProfile: {}\ndrain: {delaySeconds: -1}\n`);
    const { status, stderr } = await cadre('operator', '--config', file);
    expect(status).toBe(1);
    expect(stderr).toContain('gpuProfile');
    expect(stderr).toContain('drain.delaySeconds');
    expect(stderr).not.toContain('    at ');
  });

  it('names the port that is taken and its flag', async () => {
    const file = join(dir, 'good.yaml');
    const kubeconfig = join(dir, 'kubeconfig');
    await writeFile(file, good);
    await writeFile(
      kubeconfig,
      JSON.stringify({
        apiVersion: 'v1',
        kind: 'Config',
        clusters: [{ name: 'c', cluster: { server: 'https://127.0.0.1:1' } }],
        users: [{ name: 'u', user: { token: 't' } }],
        contexts: [{ name: 'x', context: { cluster: 'c', user: 'u' } }],
        'current-context': 'x',
      }),
    );
    const server = createServer();
    server.listen(0, '0.0.0.0');
    await once(server, 'listening');
    const port = String((server.address() as AddressInfo).port);
    try {
      const { status, stderr } = await cadre('operator', '--config', file, '--kubeconfig', kubeconfig, '--port', port);
      expect(status).toBe(1);
      expect(stderr).toContain(port);
      expect(stderr).toContain('--port');
    } finally {
      server.close();
    }
  });
});
