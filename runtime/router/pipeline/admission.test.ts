import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Priority, priorities } from '../../../crds/v1alpha1/queue.ts';
import { type Gate, Gates, type Waiting } from './admission.ts';

const ample = { maxRequests: 1_000, maxBytes: 1_000_000 };
const late = () => performance.now() + 3_600_000;
const aGate = (limit: number) => new Gates().of('u1', 'small', limit);

/** Waits at a gate; adds the name to `into` when there is a place. */
function wait(gate: Gate, name: string, priority: Priority, into: string[]): Waiting {
  const waiting = gate.queue(10, priority, late(), ample) as Waiting;
  void waiting.settled.then((refusal) => into.push(refusal ?? name));
  return waiting;
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

describe('the gate of a backend', () => {
  it('lets in by priority, and of one priority whoever came first', async () => {
    const gate = aGate(1);
    const order: string[] = [];
    expect(gate.enter()).toBe(true);
    expect(gate.enter()).toBe(false);
    wait(gate, 'low', 'Low', order);
    wait(gate, 'normal 1', 'Normal', order);
    wait(gate, 'high', 'High', order);
    wait(gate, 'normal 2', 'Normal', order);
    for (let i = 0; i < 4; i++) {
      gate.leave();
      await turn();
    }
    expect(order).toEqual(['high', 'normal 1', 'normal 2', 'low']);
  });

  it('forgets a client that leaves, at once', async () => {
    const gate = aGate(1);
    const order: string[] = [];
    gate.enter();
    const first = wait(gate, 'first', 'Normal', order);
    wait(gate, 'second', 'Normal', order);
    first.fail();
    first.fail();
    expect(gate.length).toBe(1);
    gate.leave();
    await turn();
    expect(order).toEqual(['Left', 'second']);
  });

  it('takes no more than the queue holds, over all backends of the policy', () => {
    const gates = new Gates();
    const [one, other] = [gates.of('u1', 'one', 1), gates.of('u1', 'other', 1)];
    one.enter();
    other.enter();
    const limits = { maxRequests: 3, maxBytes: 100 };
    expect(one.queue(90, 'Normal', late(), limits)).toBeDefined();
    expect(other.queue(11, 'Normal', late(), limits)).toBeUndefined();
    expect(other.queue(5, 'Normal', late(), limits)).toBeDefined();
    const last = other.queue(5, 'Normal', late(), limits);
    expect(one.queue(0, 'Normal', late(), limits)).toBeUndefined();
    last?.fail();
    expect(one.queue(0, 'Normal', late(), limits)).toBeDefined();
    expect(gates.of('u2', 'one', 1).enter()).toBe(true);
  });

  it('refuses what has waited for too long', async () => {
    const gate = aGate(1);
    gate.enter();
    const waiting = gate.queue(10, 'Normal', performance.now() + 1, ample);
    expect(await waiting?.settled).toBe('Late');
    expect(gate.length).toBe(0);
  });

  it('lets more in when its limit is raised, and fewer when it is lowered', async () => {
    const gates = new Gates();
    const gate = gates.of('u1', 'small', 1);
    const order: string[] = [];
    gate.enter();
    wait(gate, 'first', 'Normal', order);
    gates.of('u1', 'small', 3);
    wait(gate, 'second', 'Normal', order);
    await turn();
    expect(order).toEqual(['first', 'second']);
    gates.of('u1', 'small', 1);
    gate.leave();
    gate.leave();
    expect(gate.enter()).toBe(false);
    gate.leave();
    expect(gate.enter()).toBe(true);
  });

  it('never has more in flight than its limit, gives each place once, and is empty in the end', async () => {
    const step = fc.oneof(
      fc.record({ what: fc.constant('come' as const), priority: fc.constantFrom(...priorities), bytes: fc.nat(50) }),
      fc.record({ what: fc.constantFrom('leave' as const, 'drop' as const, 'late' as const), which: fc.nat(50) }),
    );
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 4 }), fc.array(step, { maxLength: 80 }), async (limit, steps) => {
        const gate = aGate(limit);
        let [entered, left] = [0, 0];
        const waiting: Waiting[] = [];
        const letIn: Record<Priority, number[]> = { High: [], Normal: [], Low: [] };
        const inside = () => entered + letIn.High.length + letIn.Normal.length + letIn.Low.length - left;
        for (const [at, one] of steps.entries()) {
          if (one.what === 'come') {
            if (gate.enter()) entered++;
            else {
              const got = gate.queue(one.bytes, one.priority, late(), { maxRequests: 10, maxBytes: 300 });
              if (got) {
                waiting.push(got);
                void got.settled.then((refusal) => (refusal === undefined ? letIn[one.priority].push(at) : 0));
              }
            }
          } else if (one.what === 'leave') {
            if (inside() > 0) {
              left++;
              gate.leave();
            }
          } else {
            const chosen = waiting[one.which % Math.max(1, waiting.length)];
            if (one.what === 'drop') chosen?.fail();
            else chosen?.overdue();
          }
          await Promise.resolve();
          await Promise.resolve();
          expect(gate.inFlight).toBe(inside());
          expect(inside()).toBeLessThanOrEqual(limit);
          expect(gate.length === 0 || inside() === limit).toBe(true);
        }
        while (inside() > 0) {
          left++;
          gate.leave();
          await Promise.resolve();
          await Promise.resolve();
        }
        expect([gate.inFlight, gate.length]).toEqual([0, 0]);
        for (const priority of priorities) expect(letIn[priority]).toEqual([...letIn[priority]].sort((a, b) => a - b));
      }),
    );
  });
});
