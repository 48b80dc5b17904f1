import * as fc from 'fast-check';
import { Registry } from 'prom-client';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type Priority, WorkQueue } from './queue.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

/** Everything that is ready now, in the order in which it is given out. */
async function takeAll(queue: WorkQueue): Promise<string[]> {
  const keys: string[] = [];
  while (queue.depth > 0) {
    const key = (await queue.get()) ?? '';
    keys.push(key);
    queue.done(key);
  }
  return keys;
}

describe('a work queue', () => {
  it('gives out a key once however often it was added, oldest first', async () => {
    const queue = new WorkQueue({ name: 'test' });
    for (const key of ['b', 'a', 'b', 'c', 'a']) queue.add(key);
    expect(await takeAll(queue)).toEqual(['b', 'a', 'c']);
  });

  it('gives out what somebody changed before a look at everything', async () => {
    const queue = new WorkQueue({ name: 'test' });
    for (const key of ['a', 'b', 'c']) queue.add(key, 'Low');
    queue.add('c');
    queue.add('d');
    queue.add('d', 'Low');
    expect(await takeAll(queue)).toEqual(['c', 'd', 'a', 'b']);
  });

  it('gives a key that is added while it is worked on to nobody else, and again afterwards', async () => {
    const queue = new WorkQueue({ name: 'test' });
    queue.add('a');
    expect(await queue.get()).toBe('a');
    queue.add('a');
    expect(queue.depth).toBe(0);
    queue.done('a');
    expect(await takeAll(queue)).toEqual(['a']);
  });

  it('hands a key to whoever waits', async () => {
    const queue = new WorkQueue({ name: 'test' });
    const waiting = [queue.get(), queue.get()];
    queue.add('a');
    queue.add('b');
    expect(await Promise.all(waiting)).toEqual(['a', 'b']);
  });

  it('lets a worker leave that waits, and gives its key to another', async () => {
    const queue = new WorkQueue({ name: 'test' });
    const leaving = new AbortController();
    const [first, second] = [queue.get(leaving.signal), queue.get()];
    leaving.abort();
    queue.add('a');
    expect(await first).toBeUndefined();
    expect(await second).toBe('a');
  });

  it('adds a key at the earliest of the times that were asked for', async () => {
    const queue = new WorkQueue({ name: 'test' });
    queue.addAfter('a', 5000);
    queue.addAfter('a', 1000);
    queue.addAfter('a', 3000);
    expect(queue.delayed).toBe(1);
    vi.advanceTimersByTime(999);
    expect(queue.depth).toBe(0);
    vi.advanceTimersByTime(2);
    expect(await takeAll(queue)).toEqual(['a']);
    vi.advanceTimersByTime(10_000);
    expect(queue.depth).toBe(0);
  });

  it('waits twice as long after each failure, up to the limit, until the key is forgotten', () => {
    const queue = new WorkQueue({ name: 'test', baseDelayMs: 5, maxDelayMs: 300_000 });
    const waitOf = (): number => {
      queue.addRateLimited('a');
      let ms = 0;
      for (; queue.delayed > 0; ms++) vi.advanceTimersByTime(1);
      return ms;
    };
    expect([waitOf(), waitOf(), waitOf(), waitOf()]).toEqual([5, 10, 20, 40]);
    expect(queue.failures('a')).toBe(4);
    queue.forget('a');
    expect(waitOf()).toBe(5);
    for (let n = 0; n < 40; n++) queue.addRateLimited('b');
    queue.addRateLimited('c');
    vi.advanceTimersByTime(5);
    vi.advanceTimersByTime(300_001);
    expect(queue.delayed).toBe(0);
  });

  it('holds all keys together to the overall rate', () => {
    const queue = new WorkQueue({ name: 'test', baseDelayMs: 1, rate: { perSecond: 10, burst: 5 } });
    for (let n = 0; n < 25; n++) queue.addRateLimited(`k${n}`);
    vi.advanceTimersByTime(5);
    expect(queue.depth).toBe(5);
    vi.advanceTimersByTime(1000);
    expect(queue.depth).toBe(15);
    vi.advanceTimersByTime(1000);
    expect(queue.depth).toBe(25);
  });

  it('drains: gives out nothing more, and is done once the work under way is', async () => {
    const queue = new WorkQueue({ name: 'test' });
    for (const key of ['a', 'b']) queue.add(key);
    queue.addAfter('c', 10);
    await queue.get();
    const drained = queue.drain(25_000);
    queue.add('d');
    expect(await queue.get()).toBeUndefined();
    queue.add('a');
    queue.done('a');
    expect(await drained).toBe(true);
    vi.advanceTimersByTime(1000);
    expect([queue.depth, queue.delayed]).toEqual([0, 0]);
  });

  it('says when the work under way has not ended by the deadline', async () => {
    const queue = new WorkQueue({ name: 'test' });
    queue.add('a');
    await queue.get();
    const drained = queue.drain(25_000);
    vi.advanceTimersByTime(25_000);
    expect(await drained).toBe(false);
  });

  it('tells its metrics by the names of client-go', async () => {
    const registry = new Registry();
    const queue = new WorkQueue({ name: 'models', registry });
    const other = new WorkQueue({ name: 'policies', registry });
    for (const key of ['a', 'b', 'c', 'c']) queue.add(key);
    other.add('x');
    await queue.get();
    queue.add('a');
    vi.advanceTimersByTime(2000);
    queue.addRateLimited('z');
    const text = await registry.metrics();
    for (const sample of [
      'workqueue_depth{name="models"} 3',
      'workqueue_depth{name="policies"} 1',
      'workqueue_adds_total{name="models"} 4',
      'workqueue_retries_total{name="models"} 1',
      'workqueue_queue_duration_seconds_count{name="models"} 1',
      'workqueue_unfinished_work_seconds{name="models"} 2',
      'workqueue_longest_running_processor_seconds{name="models"} 2',
    ]) {
      expect(text).toContain(sample);
    }
    queue.done('a');
    await queue.drain(0);
    expect(await registry.metrics()).toContain('workqueue_depth{name="models"} 0');
  });
});

type Step =
  | { do: 'add'; key: string; priority: Priority }
  | { do: 'addAfter'; key: string; ms: number }
  | { do: 'fail' | 'done'; at: number }
  | { do: 'get' }
  | { do: 'wait'; ms: number };

const key = fc.constantFrom('a', 'b', 'c', 'd');
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ do: fc.constant('add' as const), key, priority: fc.constantFrom<Priority>('High', 'Low') }),
  fc.record({ do: fc.constant('addAfter' as const), key, ms: fc.integer({ min: 0, max: 50 }) }),
  fc.record({ do: fc.constantFrom('fail' as const, 'done' as const), at: fc.nat(3) }),
  fc.constant({ do: 'get' as const }),
  fc.record({ do: fc.constant('wait' as const), ms: fc.integer({ min: 0, max: 30 }) }),
);

describe('whatever happens to a work queue', () => {
  it('no key is given to two workers, and each addition is followed by work that began after it', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
        const queue = new WorkQueue({ name: 'test' });
        const working: string[] = [];
        /** Keys that were added and have not been given out since. */
        const owed = new Set<string>();
        const take = async (): Promise<void> => {
          const given = (await queue.get()) ?? '';
          expect(working).not.toContain(given);
          working.push(given);
          owed.delete(given);
        };
        for (const one of steps) {
          if (one.do === 'add') {
            queue.add(one.key, one.priority);
            owed.add(one.key);
          } else if (one.do === 'addAfter') {
            queue.addAfter(one.key, one.ms);
            owed.add(one.key);
          } else if (one.do === 'wait') {
            vi.advanceTimersByTime(one.ms);
          } else if (one.do === 'get') {
            if (queue.depth > 0) await take();
          } else {
            const [ended] = working.splice(one.at % Math.max(1, working.length), 1);
            if (ended === undefined) continue;
            if (one.do === 'fail') {
              queue.addRateLimited(ended);
              owed.add(ended);
            }
            queue.done(ended);
          }
          expect(queue.depth).toBeLessThanOrEqual(4);
        }
        for (const ended of working.splice(0)) queue.done(ended);
        vi.advanceTimersByTime(600_000);
        while (queue.depth > 0) {
          await take();
          for (const ended of working.splice(0)) queue.done(ended);
        }
        expect([...owed]).toEqual([]);
        expect(queue.delayed).toBe(0);
      }),
    );
  });

  it('keys that wait come in the order of their times', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.integer({ min: 1, max: 1000 }), { maxLength: 50 }), async (times) => {
        const queue = new WorkQueue({ name: 'test' });
        for (const [n, ms] of times.entries()) queue.addAfter(`${n}`, ms);
        const came: number[] = [];
        for (let ms = 0; ms <= 1001; ms++) {
          for (const name of await takeAll(queue)) came.push(times[Number(name)] ?? 0);
          vi.advanceTimersByTime(1);
        }
        expect(came).toEqual(times.toSorted((a, b) => a - b));
      }),
      { numRuns: 20 },
    );
  });
});
