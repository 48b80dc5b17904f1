import { beforeAll, describe, expect, it } from 'vitest';
import { eventually } from '../../process/testing/waiting.ts';
import { measured } from '../support/measured.ts';
import { startTraffic, type TrafficReport } from '../support/traffic.ts';
import { applyModel, applyPolicy, cadreNamespace, condition, settled, smollm2, useWorld } from '../support/world.ts';

/** Two slow cores carry no more of a language model. */
const load = { requestsPerSecond: 2, maxInFlight: 4, maxTokens: 24 };
/** Whatever else the machine does meanwhile. */
const patience = { firstByte: '2m', idle: '2m', total: '5m' };

describe('traffic while things change', () => {
  const world = useWorld('changes');
  const traffic = () => startTraffic({ url: world.routerUrl, key: world.key, model: 'chat', ...load });

  beforeAll(async () => {
    await applyModel(world, 'specialist', smollm2(1));
    await applyPolicy(world, 'chat', {
      backends: [{ name: 'specialist', modelRef: { name: 'specialist' } }],
      split: [{ backend: 'specialist', weight: 1 }],
      timeouts: patience,
    });
    await condition(world, 'policies', 'chat', { type: 'Ready', status: 'True' });
  });

  const keep = (name: string, scenario: string, { sent, streamed, failures, cut }: TrafficReport) =>
    measured(name, scenario, {
      'requests sent': sent,
      'of these streamed': streamed,
      failed: failures.length,
      'streams cut': cut.length,
    });

  it('loses nothing in a rolling update', async () => {
    const clients = traffic();
    await eventually('the first answers', () => expect(Object.keys(clients.report.servedBy)).toHaveLength(1));
    await applyModel(world, 'specialist', smollm2(1, { args: ['--threads-batch', '1'] }));
    await condition(world, 'models', 'specialist', { type: 'Ready', status: 'True' });
    await settled(world, 'specialist', 1);
    const report = await clients.stop();
    await keep('rolling-update', 'A rolling update of a model on llama-server under load', report);
    expect([...report.failures, ...report.cut]).toEqual([]);
    expect(report.streamed).toBeGreaterThan(0);
  });

  it('loses nothing when a model shrinks from three replicas to one', async () => {
    await applyModel(world, 'specialist', smollm2(3, { args: ['--threads-batch', '1'] }));
    await settled(world, 'specialist', 3);
    const clients = traffic();
    await eventually('the first answers', () => expect(Object.keys(clients.report.servedBy)).toHaveLength(1));
    await applyModel(world, 'specialist', smollm2(1, { args: ['--threads-batch', '1'] }));
    await settled(world, 'specialist', 1);
    const report = await clients.stop();
    await keep('scale-down', 'A model on llama-server shrinks from three replicas to one under load', report);
    expect([...report.failures, ...report.cut]).toEqual([]);
  });

  it('loses nothing while the routers are replaced', async () => {
    const clients = traffic();
    await eventually('the first answers', () => expect(Object.keys(clients.report.servedBy)).toHaveLength(1));
    await world.cluster.kubectl(['rollout', 'restart', 'deployment/cadre-router', '--namespace', cadreNamespace]);
    await world.cluster.kubectl([
      'rollout',
      'status',
      'deployment/cadre-router',
      '--namespace',
      cadreNamespace,
      '--timeout=240s',
    ]);
    const report = await clients.stop();
    await keep('router-restart', 'The routers are replaced under load', report);
    expect([...report.failures, ...report.cut]).toEqual([]);
  });
});
