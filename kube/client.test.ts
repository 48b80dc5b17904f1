import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { until } from '../process/testing/waiting.ts';
import { KubeClient } from './client.ts';
import { type Credentials, inClusterCredentials } from './credentials.ts';
import { isTransient, type KubeErrorCode } from './errors.ts';
import { fenced } from './fence.ts';
import { kubeconfigCredentials } from './kubeconfig.ts';
import { resources } from './resources.ts';
import { configMap } from './testing/objects.ts';
import { type Asked, type Reply, type ScriptedServer, scriptedServer } from './testing/scripted-server.ts';

let closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.toReversed()) await close();
  closing = [];
});

/** A client of a server whose n-th answer (from 0) the script gives. */
async function clientOf(
  script: (asked: Asked, reply: Reply, n: number) => void,
  credentials: Partial<Credentials> = {},
): Promise<{ kube: KubeClient; server: ScriptedServer }> {
  let n = 0;
  const server = await scriptedServer((asked, reply) => script(asked, reply, n++));
  const kube = new KubeClient({ ...server.credentials, ...credentials });
  closing.push(
    () => server.close(),
    () => kube.close(),
  );
  return { kube, server };
}

const found = configMap('a', 1);
const throttled = (reply: Reply, seconds: string): void =>
  reply.json(429, { kind: 'Status', reason: 'TooManyRequests', code: 429 }, { 'retry-after': seconds });

describe('the client', () => {
  it.each<[number, object | string, KubeErrorCode]>([
    [409, { kind: 'Status', reason: 'AlreadyExists', message: 'there is one' }, 'AlreadyExists'],
    [409, { kind: 'Status', reason: 'Conflict' }, 'Conflict'],
    [410, { kind: 'Status', reason: 'Expired' }, 'Expired'],
    [403, { kind: 'Status', reason: 'Forbidden' }, 'Forbidden'],
    [500, { kind: 'Status', message: 'failed to create typed patch object (x): .y: field not declared' }, 'Invalid'],
    [500, { kind: 'Status', reason: 'InternalError' }, 'InternalError'],
    [504, { kind: 'Status', reason: 'Timeout' }, 'Timeout'],
    [503, 'upstream connect error', 'ServiceUnavailable'],
    [502, '<html>bad gateway</html>', 'ServiceUnavailable'],
    [302, 'moved', 'BadAnswer'],
    [418, 'teapot', 'BadAnswer'],
    [200, 'not JSON', 'BadAnswer'],
  ])('calls HTTP %i with %j %s', async (status, body, code) => {
    const { kube } = await clientOf((_, reply) => {
      if (typeof body === 'string') reply.text(status, body);
      else reply.json(status, body);
    });
    await expect(kube.get(resources.configMaps, 'a', 'default')).rejects.toMatchObject({ code });
  });

  it('repeats what the server throttled, after the time that it asks for', async () => {
    const { kube, server } = await clientOf((_, reply, n) => (n < 2 ? throttled(reply, '0') : reply.json(201, found)));
    await expect(kube.create(resources.configMaps, found)).resolves.toEqual(found);
    expect(server.asked).toHaveLength(3);
  });

  it('does not wait for long, but says for how long', async () => {
    const { kube, server } = await clientOf((_, reply) => throttled(reply, '30'));
    const call = kube.get(resources.configMaps, 'a', 'default');
    await expect(call).rejects.toMatchObject({ code: 'TooManyRequests', retryAfterMs: 30_000 });
    expect(server.asked).toHaveLength(1);
  });

  it('reads a token again that was refused, once', async () => {
    let token = 'old';
    let refreshed = 0;
    const { kube, server } = await clientOf(
      ({ headers }, reply) =>
        headers['authorization'] === 'Bearer new' ? reply.json(200, found) : reply.json(401, { kind: 'Status' }),
      {
        authorization: () => `Bearer ${token}`,
        refresh() {
          refreshed++;
          token = 'new';
        },
      },
    );
    await expect(kube.get(resources.configMaps, 'a', 'default')).resolves.toEqual(found);
    token = 'revoked';
    const refused = kube.get(resources.configMaps, 'b', 'default');
    await expect(refused).resolves.toEqual(found);
    expect([refreshed, server.asked.length]).toEqual([2, 4]);
  });

  it('repeats an apply whose connection broke, and not a creation', async () => {
    const { kube, server } = await clientOf((_, reply, n) => (n === 1 ? reply.json(200, found) : reply.reset()));
    await expect(kube.apply(resources.configMaps, found, { fieldManager: 'x' })).resolves.toEqual(found);
    await expect(kube.create(resources.configMaps, found)).rejects.toMatchObject({ code: 'ConnectionLost' });
    expect(server.asked.map(({ method }) => method)).toEqual(['PATCH', 'PATCH', 'POST']);
  });

  it('gives up a call that is not answered in time, or only in part', async () => {
    const { kube } = await clientOf(({ path }, reply) => {
      if (path.endsWith('/half')) reply.write('{"half":');
    });
    for (const name of ['never', 'half']) {
      const call = kube.get(resources.configMaps, name, 'default', { timeoutMs: 100 });
      await expect(call).rejects.toMatchObject({ code: 'TimedOut' });
    }
  });

  it('renews a lease although all connections for calls are taken', async () => {
    const { kube, server } = await clientOf(({ path }, reply) => {
      if (path.includes('/leases/')) reply.json(200, found);
    });
    const calls = Array.from({ length: 50 }, () => kube.get(resources.configMaps, 'a', 'default'));
    const ended = Promise.allSettled(calls);
    await until('calls', () => server.asked.length >= 16);
    await expect(kube.get(resources.leases, 'l', 'default')).resolves.toEqual(found);
    expect(server.asked).toHaveLength(17);
    await kube.close();
    await ended;
  });

  it('takes what is deleted already, or another by now, for deleted', async () => {
    const { kube } = await clientOf((_, reply, n) => reply.json([404, 409, 409][n] ?? 500, { kind: 'Status' }));
    await kube.delete(resources.pods, 'a', 'default');
    await kube.delete(resources.pods, 'a', 'default', { uid: 'x' });
    await expect(kube.delete(resources.pods, 'a', 'default')).rejects.toMatchObject({ code: 'Conflict' });
  });

  it('ends a watch without an error when its reader leaves', async () => {
    const { kube } = await clientOf((_, reply) => {
      reply.stream();
      reply.event('ADDED', found);
    });
    const options = { resourceVersion: '1', timeoutSeconds: 300, signal: new AbortController().signal };
    for await (const event of kube.watch(resources.configMaps, {}, options)) {
      expect(event).toMatchObject({ type: 'ADDED' });
      break;
    }
  });

  it('loses no event of a burst that its reader is slow to take', async () => {
    const count = 5000;
    const { kube } = await clientOf((_, reply) => {
      reply.stream();
      for (let n = 1; n <= count; n++) reply.event('ADDED', configMap(`n${n}`, n));
      reply.end();
    });
    const options = { resourceVersion: '1', timeoutSeconds: 300, signal: new AbortController().signal };
    let last = 0;
    for await (const event of kube.watch(resources.configMaps, {}, options)) {
      if (event.type === 'BOOKMARK') continue;
      expect(Number(event.object.metadata.resourceVersion)).toBe(++last);
      if (last % 500 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    expect(last).toBe(count);
  });
});

describe('an error', () => {
  it('is transient when the same call may succeed later', async () => {
    const { kube } = await clientOf((_, reply, n) => reply.json([503, 422][n] ?? 500, { kind: 'Status' }));
    const call = (): Promise<unknown> => kube.get(resources.pods, 'a', 'default').catch((error: unknown) => error);
    expect(isTransient(await call())).toBe(true);
    expect(isTransient(await call())).toBe(false);
  });
});

describe('a fenced cluster', () => {
  it('reads always, and writes only while we lead', async () => {
    let leading = true;
    const { kube, server } = await clientOf((_, reply) => reply.json(200, found));
    const cluster = fenced(kube, () => leading);
    await cluster.apply(resources.configMaps, found, { fieldManager: 'x' });
    leading = false;
    await cluster.get(resources.configMaps, 'a', 'default');
    for (const write of [
      () => cluster.apply(resources.configMaps, found, { fieldManager: 'x' }),
      () => cluster.applyStatus(resources.configMaps, { ...found, status: {} }, { fieldManager: 'x' }),
      () => cluster.create(resources.configMaps, found),
      () => cluster.replace(resources.configMaps, found),
      () => cluster.delete(resources.configMaps, 'a', 'default'),
    ]) {
      await expect(write()).rejects.toMatchObject({ code: 'Aborted' });
    }
    expect(server.asked.map(({ method }) => method)).toEqual(['PATCH', 'GET']);
  });
});

function folder(): string {
  const dir = mkdtempSync(join(tmpdir(), 'cadre-credentials-'));
  closing.push(() => rmSync(dir, { recursive: true }));
  return dir;
}

describe('credentials in a cluster', () => {
  const env = { KUBERNETES_SERVICE_HOST: '10.0.0.1', KUBERNETES_SERVICE_PORT: '443' };
  function mounted(): string {
    const dir = folder();
    for (const [name, text] of Object.entries({ token: 'one\n', 'ca.crt': 'CA', namespace: 'prod' })) {
      writeFileSync(join(dir, name), text);
    }
    return dir;
  }

  it('are those that kubelet mounts', () => {
    const credentials = inClusterCredentials(mounted(), env);
    expect(credentials.server).toBe('https://10.0.0.1:443');
    expect(credentials.namespace).toBe('prod');
    expect(credentials.tls()).toEqual({ ca: 'CA' });
    expect(credentials.authorization()).toBe('Bearer one');
  });

  it('name an IPv6 address as URLs do', () => {
    const { server } = inClusterCredentials(mounted(), { ...env, KUBERNETES_SERVICE_HOST: 'fd00::1' });
    expect(server).toBe('https://[fd00::1]:443');
  });

  it('are read again when they were refused, and kept while they cannot be read', () => {
    const dir = mounted();
    const credentials = inClusterCredentials(dir, env);
    writeFileSync(join(dir, 'token'), 'two');
    expect(credentials.authorization()).toBe('Bearer one');
    credentials.refresh();
    expect(credentials.authorization()).toBe('Bearer two');
    rmSync(join(dir, 'token'));
    credentials.refresh();
    expect(credentials.authorization()).toBe('Bearer two');
  });

  it('are missing in words that say what to do', () => {
    expect(() => inClusterCredentials(folder(), env)).toThrow('automountServiceAccountToken: true');
    expect(() => inClusterCredentials(mounted(), {})).toThrow('pass --kubeconfig');
  });
});

describe('credentials of a kubeconfig', () => {
  function written(user: object, cluster: object = {}): string {
    const path = join(folder(), 'config');
    const config = {
      apiVersion: 'v1',
      kind: 'Config',
      'current-context': 'here',
      contexts: [
        { name: 'here', context: { cluster: 'c', user: 'u', namespace: 'prod' } },
        { name: 'there', context: { cluster: 'd', user: 'u' } },
      ],
      clusters: [
        { name: 'c', cluster: { server: 'https://here:6443', ...cluster } },
        { name: 'd', cluster: { server: 'https://there:6443', 'tls-server-name': 'name' } },
      ],
      users: [{ name: 'u', user }],
    };
    writeFileSync(path, JSON.stringify(config));
    return path;
  }
  const base64 = (text: string): string => Buffer.from(text).toString('base64');

  it('are the current context, with a token or a client certificate', async () => {
    const byToken = await kubeconfigCredentials({ path: written({ token: 'secret' }) });
    expect(byToken.server).toBe('https://here:6443');
    expect(byToken.namespace).toBe('prod');
    expect(await byToken.authorization()).toBe('Bearer secret');
    const pair = { 'client-certificate-data': base64('CERT'), 'client-key-data': base64('KEY') };
    const byPair = await kubeconfigCredentials({ path: written(pair, { 'certificate-authority-data': base64('CA') }) });
    expect(await byPair.authorization()).toBeUndefined();
    const { ca, cert, key } = byPair.tls();
    expect([ca, cert, key].map(String)).toEqual(['CA', 'CERT', 'KEY']);
  });

  it('are those of another context when it is asked for', async () => {
    const credentials = await kubeconfigCredentials({ path: written({ token: 'x' }), context: 'there' });
    expect(credentials.server).toBe('https://there:6443');
    expect(credentials.tls().servername).toBe('name');
  });

  it('come from a plugin', async () => {
    const dir = folder();
    mkdirSync(join(dir, 'bin'));
    const plugin = join(dir, 'bin', 'plugin');
    const answer = {
      apiVersion: 'client.authentication.k8s.io/v1',
      kind: 'ExecCredential',
      status: { token: 'from-plugin', expirationTimestamp: '2999-01-01T00:00:00Z' },
    };
    writeFileSync(plugin, `#!/bin/sh\necho '${JSON.stringify(answer)}'\n`);
    execFileSync('chmod', ['+x', plugin]);
    const exec = { apiVersion: 'client.authentication.k8s.io/v1', command: plugin, interactiveMode: 'Never' };
    const credentials = await kubeconfigCredentials({ path: written({ exec }) });
    expect(await credentials.authorization()).toBe('Bearer from-plugin');
  });

  it.each<[string, () => Promise<unknown>, string]>([
    ['the file is missing', () => kubeconfigCredentials({ path: '/does/not/exist' }), 'cannot read the kubeconfig'],
    [
      'the context is missing',
      () => kubeconfigCredentials({ path: written({}), context: 'nowhere' }),
      '--context nowhere: the kubeconfig',
    ],
    ['a proxy is needed', () => kubeconfigCredentials({ path: written({}, { 'proxy-url': 'http://p' }) }), 'proxy-url'],
  ])('say so when %s', async (_, load, message) => {
    await expect(load()).rejects.toThrow(message);
  });
});
