import { describe, expect, it } from 'vitest';
import { EventRecorder } from '../../kube/events.ts';
import { resources } from '../../kube/resources.ts';
import { type ConfigMap, silent } from '../../kube/testing/objects.ts';
import type { KubeObject } from '../../kube/types.ts';
import { eventually } from '../../process/testing/waiting.ts';
import { useApiServer } from '../support/api-server.ts';

const world = useApiServer('events');

interface KubeEvent extends KubeObject {
  type?: string;
  reason?: string;
  note?: string;
  regarding?: { kind?: string; name?: string; uid?: string };
  series?: { count: number };
}

const ready = { type: 'Normal', reason: 'Ready', action: 'Reconcile', note: 'It is ready.' } as const;

async function subject(name: string): Promise<{ object: ConfigMap; events: () => Promise<KubeEvent[]> }> {
  const object = await world.kube.create<ConfigMap>(resources.configMaps, {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name, namespace: world.namespace },
  });
  const selection = { namespace: world.namespace, fieldSelector: `regarding.name=${name}` };
  const events = async (): Promise<KubeEvent[]> =>
    (await world.kube.list<KubeEvent>(resources.events, selection, { limit: 0 })).items;
  return { object, events };
}

const recorder = (options: { updateMs?: number; seriesMs?: number } = {}): EventRecorder =>
  new EventRecorder({
    cluster: world.kube,
    controller: 'cadre.dev/operator',
    instance: 'one',
    log: silent,
    ...options,
  });

describe('a recorder of events', () => {
  it('writes an event in the namespace of its object', async () => {
    const { object, events } = await subject('once');
    recorder().record(object, ready);
    await eventually('the event', async () => expect(await events()).toHaveLength(1));
    const [event] = await events();
    expect(event).toMatchObject({
      ...ready,
      reportingController: 'cadre.dev/operator',
      regarding: { kind: 'ConfigMap', name: 'once', uid: object.metadata.uid },
    });
  });

  it('counts repetitions on the first one, and writes another for another reason', async () => {
    const { object, events } = await subject('often');
    const events1 = recorder({ updateMs: 50 });
    for (let n = 0; n < 100; n++) events1.record(object, ready);
    events1.record(object, { ...ready, reason: 'Changed' });
    await eventually('the count', async () => {
      const found = await events();
      expect(found).toHaveLength(2);
      expect(found.find(({ reason }) => reason === 'Ready')?.series?.count).toBe(100);
    });
    events1.record(object, ready);
    await events1.flush(10_000);
    await eventually('the last count', async () => {
      const found = await events();
      expect(found.find(({ reason }) => reason === 'Ready')?.series?.count).toBe(101);
    });
  });

  it('cuts a note that the API would not take', async () => {
    const { object, events } = await subject('long');
    recorder().record(object, { ...ready, note: 'ä'.repeat(2000) });
    await eventually('the event', async () => expect(await events()).toHaveLength(1));
    const [event] = await events();
    expect(event?.note).toMatch(/^ä+…$/);
  });

  it('does not mind that an event is refused', async () => {
    const { object, events } = await subject('refused');
    const one = recorder();
    one.record(object, { ...ready, reason: 'x'.repeat(300) });
    one.record(object, ready);
    await eventually('the other event', async () => expect(await events()).toHaveLength(1));
  });
});
