import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { KubeError } from '../kube/errors.ts';
import type { Cluster, KubeObject } from '../kube/types.ts';
import { createSecretReader } from './secret-reader.ts';

const reader = { controller: 'routing-policy', key: 'support/triage' };
const other = { controller: 'routing-policy', key: 'support/other' };

/** An API server that has the Secrets in `stored`, by `namespace/name`, each with its resourceVersion. */
function anApiServer() {
  const stored = new Map<string, string | KubeError>();
  const seen = { reads: [] as string[], most: 0, mostOf: new Map<string, number>() };
  const open: string[] = [];
  const cluster: Pick<Cluster, 'get'> = {
    async get<T extends KubeObject>(_: unknown, name: string, namespace = ''): Promise<T> {
      seen.reads.push(name);
      open.push(namespace);
      seen.most = Math.max(seen.most, open.length);
      const ofNamespace = open.filter((at) => at === namespace).length;
      seen.mostOf.set(namespace, Math.max(seen.mostOf.get(namespace) ?? 0, ofNamespace));
      await new Promise((resolve) => setTimeout(resolve, 10));
      open.splice(open.indexOf(namespace), 1);
      const version = stored.get(`${namespace}/${name}`);
      if (version === undefined) throw new KubeError('NotFound', `get secrets ${name}: not found`);
      if (version instanceof KubeError) throw version;
      const metadata = { name, namespace, uid: 'u', resourceVersion: version, managedFields: [{}] };
      return { apiVersion: 'v1', kind: 'Secret', metadata, data: { token: version } } as unknown as T;
    },
  };
  return { stored, seen, cluster };
}

describe('Secrets that objects name', () => {
  const changed: string[] = [];
  let api: ReturnType<typeof anApiServer>;
  let secrets: ReturnType<typeof createSecretReader>;

  beforeEach(() => {
    vi.useFakeTimers();
    changed.length = 0;
    api = anApiServer();
    secrets = createSecretReader({
      cluster: api.cluster,
      changed: ({ key }) => changed.push(key),
      log: pino({ level: 'silent' }),
      concurrency: 3,
    });
  });

  afterEach(() => {
    secrets.clear();
    vi.useRealTimers();
  });

  it('are unknown at first, then read, and whoever named them is told', async () => {
    api.stored.set('support/key', '1');
    expect(secrets.view('support', 'key', reader)).toEqual({ state: 'Unknown' });
    await vi.advanceTimersByTimeAsync(50);
    expect(secrets.view('support', 'key', reader)).toMatchObject({
      state: 'Present',
      secret: { data: { token: '1' } },
    });
    expect(changed).toEqual(['support/triage']);
  });

  it('are noticed within ten seconds when they appear', async () => {
    secrets.view('support', 'key', reader);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(secrets.view('support', 'key', reader)).toEqual({ state: 'Missing' });
    changed.length = 0;
    api.stored.set('support/key', '1');
    await vi.advanceTimersByTimeAsync(10_000);
    expect(changed).toEqual(['support/triage']);
    expect(secrets.view('support', 'key', reader)).toMatchObject({ state: 'Present' });
  });

  it('are noticed within 61 seconds when they change or go', async () => {
    api.stored.set('support/key', '1');
    secrets.view('support', 'key', reader);
    secrets.view('support', 'key', other);
    await vi.advanceTimersByTimeAsync(1_000);
    changed.length = 0;
    api.stored.set('support/key', '2');
    await vi.advanceTimersByTimeAsync(61_000);
    expect(changed).toEqual(['support/triage', 'support/other']);
    api.stored.delete('support/key');
    await vi.advanceTimersByTimeAsync(61_000);
    expect(secrets.view('support', 'key', reader)).toEqual({ state: 'Missing' });
  });

  it('trouble nobody while they stay the same', async () => {
    api.stored.set('support/key', '1');
    secrets.view('support', 'key', reader);
    await vi.advanceTimersByTimeAsync(1_000);
    changed.length = 0;
    await vi.advanceTimersByTimeAsync(600_000);
    expect(changed).toEqual([]);
    expect(api.seen.reads.length).toBeLessThanOrEqual(13);
  });

  it('that cannot be read say why, and are tried again', async () => {
    api.stored.set('support/key', new KubeError('Forbidden', 'get secrets support/key: forbidden'));
    secrets.view('support', 'key', reader);
    await vi.advanceTimersByTimeAsync(100);
    expect(secrets.view('support', 'key', reader)).toEqual({
      state: 'Unknown',
      problem: 'get secrets support/key: forbidden',
    });
    expect(changed).toEqual(['support/triage']);
    api.stored.set('support/key', '1');
    await vi.advanceTimersByTimeAsync(6_000);
    expect(secrets.view('support', 'key', reader)).toMatchObject({ state: 'Present' });
  });

  it('stay what they were while the API server is away', async () => {
    api.stored.set('support/key', '1');
    secrets.view('support', 'key', reader);
    await vi.advanceTimersByTimeAsync(1_000);
    api.stored.set('support/key', new KubeError('ConnectFailed', 'connection refused'));
    await vi.advanceTimersByTimeAsync(120_000);
    expect(secrets.view('support', 'key', reader)).toMatchObject({ state: 'Present' });
  });

  it('are not read for objects that are gone', async () => {
    api.stored.set('support/key', '1');
    secrets.view('support', 'key', reader);
    await vi.advanceTimersByTimeAsync(1_000);
    secrets.forget(reader);
    await vi.advanceTimersByTimeAsync(61_000);
    expect(api.seen.reads).toEqual(['key']);
    expect(secrets.size).toBe(0);
  });

  it('stay known to an object that forgets them and names them again', async () => {
    api.stored.set('support/key', '1');
    secrets.view('support', 'key', reader);
    await vi.advanceTimersByTimeAsync(1_000);
    secrets.forget(reader);
    expect(secrets.view('support', 'key', reader)).toMatchObject({ state: 'Present' });
    await vi.advanceTimersByTimeAsync(61_000);
    expect(api.seen.reads).toEqual(['key', 'key']);
  });

  it('are not read after everything was forgotten, and can be named anew', async () => {
    api.stored.set('support/key', '1');
    secrets.view('support', 'key', reader);
    secrets.clear();
    await vi.advanceTimersByTimeAsync(120_000);
    expect(api.seen.reads).toEqual([]);
    expect(secrets.view('support', 'key', reader)).toEqual({ state: 'Unknown' });
    await vi.advanceTimersByTimeAsync(100);
    expect(secrets.view('support', 'key', reader)).toMatchObject({ state: 'Present' });
  });

  it('are read a few at a time, and all of them', async () => {
    for (let i = 0; i < 20; i++) secrets.view(`team-${i % 4}`, `key-${i}`, reader);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(api.seen.most).toBe(3);
    expect(new Set(api.seen.reads).size).toBe(20);
  });

  it('that are missing by the thousand in one namespace delay nobody in another', async () => {
    for (let i = 0; i < 5_000; i++) secrets.view('crowd', `crowd-${i}`, { controller: 'c', key: `crowd/${i % 100}` });
    secrets.view('support', 'key', reader);
    await vi.advanceTimersByTimeAsync(50);
    expect(api.seen.reads).toContain('key');
    await vi.advanceTimersByTimeAsync(9_950);
    api.stored.set('support/key', '1');
    await vi.advanceTimersByTimeAsync(6_000);
    expect(secrets.view('support', 'key', reader)).toMatchObject({ state: 'Present' });
    expect(api.seen.mostOf.get('crowd')).toBe(2);
  });

  it('of namespaces that all have many are read in turns', async () => {
    const teams = ['a', 'b', 'c', 'd'];
    for (const team of teams) for (let i = 0; i < 500; i++) secrets.view(team, `${team}-${i}`, reader);
    await vi.advanceTimersByTimeAsync(1_000);
    const reads = teams.map((team) => api.seen.reads.filter((name) => name.startsWith(team)).length);
    expect(Math.min(...reads)).toBeGreaterThan(50);
    expect(Math.max(...reads) - Math.min(...reads)).toBeLessThanOrEqual(2);
  });

  it('that are missing by the thousand are read again and again, each as often as the others, at most 20 a second', async () => {
    for (let i = 0; i < 1_000; i++) secrets.view('crowd', `crowd-${i}`, reader);
    await vi.advanceTimersByTimeAsync(10_000);
    expect(new Set(api.seen.reads).size).toBe(1_000);
    api.seen.reads.length = 0;
    await vi.advanceTimersByTimeAsync(600_000);
    expect(new Set(api.seen.reads).size).toBe(1_000);
    expect(api.seen.reads.length).toBeLessThanOrEqual(600 * 20);
    const times = Map.groupBy(api.seen.reads, (name) => name)
      .values()
      .map((reads) => reads.length)
      .toArray();
    expect(Math.max(...times) - Math.min(...times)).toBeLessThanOrEqual(2);
  });

  it('are noticed within ten seconds also where a namespace misses a hundred', async () => {
    for (let i = 0; i < 100; i++) secrets.view('support', `key-${i}`, reader);
    await vi.advanceTimersByTimeAsync(60_000);
    for (let i = 0; i < 100; i++) api.stored.set(`support/key-${i}`, '1');
    await vi.advanceTimersByTimeAsync(10_000);
    const states = Array.from({ length: 100 }, (_, i) => secrets.view('support', `key-${i}`, reader).state);
    expect(new Set(states)).toEqual(new Set(['Present']));
  });

  it('are kept without what nobody reads', async () => {
    api.stored.set('support/key', '1');
    secrets.view('support', 'key', reader);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(JSON.stringify(secrets.view('support', 'key', reader))).not.toContain('managedFields');
  });
});
