import { describe, expect, it } from 'vitest';
import type { RoutingPolicy } from '../../../crds/v1alpha1/kinds.ts';
import type { Compilation } from './compile.ts';
import type { Problem } from './reasons.ts';
import { pausedStatus, policyStatus } from './status.ts';
import { aPolicy } from './testing/builders.ts';

const now = Date.parse('2026-03-01T10:00:00.500Z');
const policy = aPolicy();
const compiled = (...problems: Problem[]): Compilation => ({
  outcome: 'Compiled',
  problems,
  route: {
    version: 1,
    policy: { namespace: 'support', name: 'triage', uid: 'u', generation: 3 },
    model: 'triage',
    access: { mode: 'Open', shortName: false },
    backends: [],
    split: [{ backend: 'specialist', weight: 100 }],
    fallback: [],
    output: {},
    timeouts: { firstByteMs: 1, idleMs: 1, totalMs: 1 },
  },
});
const withStatus = (of: RoutingPolicy, compilation: Compilation, at: number): RoutingPolicy => {
  const status = policyStatus(of, compilation, at);
  return status ? { ...of, status } : of;
};
const told = (compilation: Compilation) =>
  policyStatus(policy, compilation, now)?.conditions?.map(({ type, status, reason }) => `${type}=${status}/${reason}`);

describe('the status of a policy', () => {
  it('says that all is well', () => {
    expect(policyStatus(policy, compiled(), now)).toMatchObject({
      observedGeneration: 3,
      model: 'triage',
      weights: [{ backend: 'specialist', weight: 100 }],
    });
    expect(told(compiled())).toEqual(['Accepted=True/Accepted', 'Ready=True/Ready']);
  });

  it('is in progress while what it waits for may come by itself', () => {
    const problem: Problem = { reason: 'BackendNotFound', message: 'no such model' };
    expect(told(compiled(problem))).toEqual([
      'Accepted=True/Accepted',
      'Ready=False/BackendNotFound',
      'Reconciling=True/BackendNotFound',
    ]);
  });

  it('is stalled where only a person can help', () => {
    expect(told(compiled({ reason: 'WeakKey', message: 'short' }))).toEqual([
      'Accepted=True/Accepted',
      'Ready=False/WeakKey',
      'Stalled=True/WeakKey',
    ]);
  });

  it('says that a wrong spec is not accepted', () => {
    const refused: Compilation = { outcome: 'Refused', problems: [{ reason: 'HostNotAllowed', message: 'no' }] };
    expect(told(refused)).toEqual([
      'Accepted=False/HostNotAllowed',
      'Ready=False/HostNotAllowed',
      'Stalled=True/HostNotAllowed',
    ]);
  });

  it('names the gravest reason and tells them all', () => {
    const status = policyStatus(
      policy,
      compiled({ reason: 'BackendNotReady', message: 'loading' }, { reason: 'SecretNotFound', message: 'no secret' }),
      now,
    );
    const ready = status?.conditions?.find(({ type }) => type === 'Ready');
    expect(ready).toMatchObject({ reason: 'SecretNotFound', message: 'no secret; loading' });
  });

  it('rests while nothing happens, and keeps the time of the last change', () => {
    const first = withStatus(policy, compiled(), now);
    expect(policyStatus(first, compiled(), now + 60_000)).toEqual(first.status);
    expect(first.status?.conditions?.[0]?.lastTransitionTime).toBe('2026-03-01T10:00:00Z');
  });

  it('is not written before the Secrets were read', () => {
    expect(policyStatus(policy, { outcome: 'Waiting', problems: [] }, now)).toBeUndefined();
  });
});

describe('the status of a paused policy', () => {
  const seen = withStatus(policy, compiled(), now);

  it('keeps what was known and says that it is paused', () => {
    const later = { ...seen, metadata: { ...seen.metadata, generation: 9 } };
    const status = pausedStatus(later, now);
    expect(status.observedGeneration).toBe(3);
    expect(status.conditions?.map(({ type, status: value }) => `${type}=${value}`)).toEqual([
      'Accepted=True',
      'Ready=True',
      'Paused=True',
    ]);
  });

  it('rests', () => {
    const paused = { ...seen, status: pausedStatus(seen, now) };
    expect(pausedStatus(paused, now + 60_000)).toEqual(paused.status);
    const fresh = { ...policy, status: pausedStatus(policy, now) };
    expect(pausedStatus(fresh, now + 60_000)).toEqual(fresh.status);
  });

  it('forgets the pause when it is over', () => {
    const paused = { ...seen, status: pausedStatus(seen, now) };
    expect(policyStatus(paused, compiled(), now)?.conditions?.map(({ type }) => type)).toEqual(['Accepted', 'Ready']);
  });
});
