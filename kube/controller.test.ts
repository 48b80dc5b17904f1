import { Registry } from 'prom-client';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { until } from '../process/testing/waiting.ts';
import { Controller, type ControllerOptions, TerminalError } from './controller.ts';
import { KubeError } from './errors.ts';
import { silent } from './testing/objects.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

function controllerOf(reconcile: ControllerOptions['reconcile'], options: Partial<ControllerOptions> = {}): Controller {
  return new Controller({ name: 'test', reconcile, keys: () => [], log: silent, ...options });
}

/** Lets everything happen that needs no more than so much time. */
const pass = (ms = 0): Promise<unknown> => vi.advanceTimersByTimeAsync(ms);

describe('a controller', () => {
  it('looks at every key when it starts, after what was changed', async () => {
    const seen: string[] = [];
    const controller = controllerOf(
      async (key) => {
        seen.push(key);
        return 'never';
      },
      { keys: () => ['a', 'b', 'c'], concurrency: 1 },
    );
    controller.enqueue('c');
    controller.start();
    await pass();
    expect(seen).toEqual(['c', 'a', 'b']);
    await controller.stop(0);
  });

  it('works on different keys at a time, and never twice on one', async () => {
    const now: string[] = [];
    let most = 0;
    const controller = controllerOf(
      async (key) => {
        expect(now).not.toContain(key);
        now.push(key);
        most = Math.max(most, now.length);
        await new Promise((resolve) => setTimeout(resolve, 10));
        now.splice(now.indexOf(key), 1);
        return 'never';
      },
      { concurrency: 3 },
    );
    controller.start();
    for (const key of ['a', 'b', 'c', 'd', 'a', 'b']) controller.enqueue(key);
    await pass(5);
    for (const key of ['a', 'b']) controller.enqueue(key);
    await pass(100);
    expect(most).toBe(3);
    await controller.stop(0);
  });

  it('comes back when it is told to, and not otherwise', async () => {
    const times: number[] = [];
    const controller = controllerOf(async () => {
      times.push(Date.now());
      return times.length < 3 ? { afterMs: 1000 } : 'never';
    });
    controller.start();
    controller.enqueue('a');
    await pass(60_000);
    expect(times.map((at) => at - (times[0] ?? 0))).toEqual([0, 1000, 2000]);
    await controller.stop(0);
  });

  it('tries again after a failure, later each time, and at once when the object changes', async () => {
    let tries = 0;
    const controller = controllerOf(
      async () => {
        tries++;
        throw tries % 2 ? new KubeError('ServiceUnavailable', 'down') : new Error('broken');
      },
      { baseDelayMs: 1000 },
    );
    controller.start();
    controller.enqueue('a');
    await pass(0);
    expect(tries).toBe(1);
    await pass(1001);
    expect(tries).toBe(2);
    await pass(1990);
    expect(tries).toBe(2);
    await pass(20);
    expect(tries).toBe(3);
    controller.enqueue('a');
    await pass(0);
    expect(tries).toBe(4);
    await controller.stop(0);
  });

  it('does not try again what only a person can cure', async () => {
    let tries = 0;
    const controller = controllerOf(async () => {
      tries++;
      throw new TerminalError('spec.replicas and spec.scaling exclude each other');
    });
    controller.start();
    controller.enqueue('a');
    await pass(3_600_000);
    expect(tries).toBe(1);
    await controller.stop(0);
  });

  it('stops: takes no more keys, lets work end, and aborts what takes too long', async () => {
    const log: string[] = [];
    const controller = controllerOf(
      async (key, { signal }) => {
        log.push(`${key} begins`);
        await new Promise((resolve) => {
          setTimeout(resolve, key === 'quick' ? 1000 : 3_600_000);
          signal.addEventListener('abort', resolve);
        });
        log.push(`${key} ${signal.aborted ? 'aborted' : 'ended'}`);
        return 'never';
      },
      { concurrency: 2 },
    );
    controller.start();
    for (const key of ['quick', 'slow', 'late']) controller.enqueue(key);
    await pass();
    const stopped = controller.stop(25_000);
    await pass(30_000);
    expect(await stopped).toBe(true);
    expect(log).toEqual(['quick begins', 'slow begins', 'quick ended', 'slow aborted']);
    // Elected again.
    controller.start();
    await pass();
    expect(log.at(-1)).toBe('late begins');
    const again = controller.stop(0);
    await pass(1000);
    await again;
  });

  it('says when work has not ended in time', async () => {
    const controller = controllerOf(() => new Promise(() => undefined));
    controller.start();
    controller.enqueue('a');
    await pass();
    const stopped = controller.stop(1000, 500);
    await pass(1500);
    expect(await stopped).toBe(false);
  });

  it('tells its metrics by the names of controller-runtime', async () => {
    const registry = new Registry();
    const controller = controllerOf(
      async (key) => {
        if (key === 'bad') throw new TerminalError('no');
        return key === 'later' ? { afterMs: 60_000 } : 'never';
      },
      { registry, concurrency: 4 },
    );
    controller.start();
    for (const key of ['good', 'bad', 'later']) controller.enqueue(key);
    await pass();
    const text = await registry.metrics();
    for (const sample of [
      'controller_runtime_reconcile_total{controller="test",result="success"} 1',
      'controller_runtime_reconcile_total{controller="test",result="error"} 1',
      'controller_runtime_reconcile_total{controller="test",result="requeue_after"} 1',
      'controller_runtime_reconcile_errors_total{controller="test"} 1',
      'controller_runtime_terminal_reconcile_errors_total{controller="test"} 1',
      'controller_runtime_reconcile_time_seconds_count{controller="test"} 3',
      'controller_runtime_active_workers{controller="test"} 0',
      'controller_runtime_max_concurrent_reconciles{controller="test"} 4',
    ]) {
      expect(text).toContain(sample);
    }
    await controller.stop(0);
  });

  it('lets the event loop have its turn between reconciles that never wait', async () => {
    vi.useRealTimers();
    let done = 0;
    let turns = 0;
    const controller = controllerOf(
      async () => {
        const end = performance.now() + 2;
        while (performance.now() < end);
        done++;
        return 'never';
      },
      { keys: () => Array.from({ length: 100 }, (_, i) => `key-${i}`) },
    );
    const turn = (): void => {
      turns++;
      if (done < 100) setImmediate(turn);
    };
    setImmediate(turn);
    controller.start();
    await until('all keys reconciled', () => done === 100);
    expect(turns).toBeGreaterThan(2);
    await controller.stop(1000);
  });
});
