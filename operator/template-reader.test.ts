import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { KubeError } from '../kube/errors.ts';
import type { Cluster, KubeObject } from '../kube/types.ts';
import { createTemplateReader } from './template-reader.ts';

const reader = { controller: 'specialized-model', key: 'support/triage' };
const prompts = { name: 'prompts', key: 'triage' };
const text = 'Message: {{ messages[-1].content }}\nLabel:';

describe('a prompt template that a model names', () => {
  const stored = new Map<string, object | KubeError>();
  const changed: string[] = [];
  let reads = 0;
  let templates: ReturnType<typeof createTemplateReader>;
  const view = (configMap = prompts) => templates.view('support', configMap, reader);

  beforeEach(() => {
    vi.useFakeTimers();
    stored.clear();
    changed.length = 0;
    reads = 0;
    const cluster: Pick<Cluster, 'get'> = {
      async get<T extends KubeObject>(_: unknown, name: string, namespace = ''): Promise<T> {
        reads++;
        const found = stored.get(`${namespace}/${name}`);
        if (found === undefined) throw new KubeError('NotFound', `get configmaps ${name}: not found`);
        if (found instanceof KubeError) throw found;
        return {
          apiVersion: 'v1',
          kind: 'ConfigMap',
          metadata: { name, namespace, uid: 'u' },
          ...found,
        } as unknown as T;
      },
    };
    templates = createTemplateReader({
      cluster,
      changed: ({ key }) => changed.push(key),
      log: pino({ level: 'silent' }),
    });
  });

  afterEach(() => {
    templates.clear();
    vi.useRealTimers();
  });

  it('is unknown at first, then there with its checksum, and the model is told', async () => {
    stored.set('support/prompts', { data: { triage: text } });
    expect(view()).toEqual({ state: 'Unknown' });
    await vi.advanceTimersByTimeAsync(50);
    expect(changed).toEqual([reader.key]);
    expect(view()).toEqual({
      state: 'Present',
      template: { text, digest: expect.stringMatching(/^sha256:[0-9a-f]{64}$/) },
    });
  });

  it('is noticed within ten seconds when it appears, its ConfigMap or its key', async () => {
    view();
    await vi.advanceTimersByTimeAsync(50);
    expect(view()).toEqual({ state: 'Missing', what: 'ConfigMap' });
    stored.set('support/prompts', { data: { other: text } });
    await vi.advanceTimersByTimeAsync(10_000);
    expect(view()).toEqual({ state: 'Missing', what: 'Key' });
    stored.set('support/prompts', { data: { triage: text } });
    await vi.advanceTimersByTimeAsync(10_000);
    expect(view()).toMatchObject({ state: 'Present' });
    expect(changed).toHaveLength(3);
  });

  it('is seen to change within half a minute; a change of another key is none', async () => {
    stored.set('support/prompts', { data: { triage: text } });
    view();
    await vi.advanceTimersByTimeAsync(50);
    stored.set('support/prompts', { data: { triage: text, other: 'new' } });
    await vi.advanceTimersByTimeAsync(30_000);
    expect([reads, changed.length]).toEqual([2, 1]);
    stored.set('support/prompts', { data: { triage: `${text} ` } });
    await vi.advanceTimersByTimeAsync(30_000);
    expect(changed).toHaveLength(2);
    expect(view()).toMatchObject({ template: { text: `${text} ` } });
  });

  it.each([
    ['is empty', { data: { triage: ' \n' } }, 'is empty'],
    ['is no text', { binaryData: { triage: 'AAEC' } }, 'is binary data, and no text'],
    ['has a zero byte, which no environment can carry', { data: { triage: 'a\0b' } }, 'has a zero byte'],
    [
      'is too long, in bytes and not in letters',
      { data: { triage: 'é'.repeat(32_769) } },
      'has 65538 bytes, and may have 65536',
    ],
  ])('that %s is invalid', async (_, content, problem) => {
    stored.set('support/prompts', content);
    view();
    await vi.advanceTimersByTimeAsync(50);
    expect(view()).toEqual({ state: 'Invalid', problem });
  });

  it('stays as it was read last while it can not be read; one that never could says why', async () => {
    stored.set('support/prompts', { data: { triage: text } });
    view();
    view({ name: 'closed', key: 'triage' });
    stored.set('support/closed', new KubeError('Forbidden', 'get configmaps closed: forbidden'));
    await vi.advanceTimersByTimeAsync(50);
    expect(view({ name: 'closed', key: 'triage' })).toEqual({
      state: 'Unknown',
      problem: expect.stringContaining('forbidden'),
    });
    stored.set('support/prompts', new KubeError('Forbidden', 'get configmaps prompts: forbidden'));
    await vi.advanceTimersByTimeAsync(60_000);
    expect(view()).toMatchObject({ state: 'Present' });
  });
});
