import { describe, expect, it } from 'vitest';
import type { Look } from './engine-client.ts';
import { afterLook, type EngineState, unseen } from './engine-state.ts';

const identityOf = (metrics: string) => ({ work: Number(metrics) });
const after = (state: EngineState, ...looks: Look[]): EngineState =>
  looks.reduce((before, look) => afterLook(before, look, identityOf), state);
const warm: EngineState = { ...unseen, warm: true, problem: undefined, identity: { work: 10 } };
const silent: Look = { kind: 'Silent', problem: 'timeout' };

describe('an engine that is warm', () => {
  it('stays so while it works on, or cannot tell its metrics', () => {
    expect(after(warm, { kind: 'Up', metrics: '11' }, { kind: 'Up', metrics: undefined })).toMatchObject({
      warm: true,
      problem: undefined,
      identity: { work: 11 },
    });
  });

  it('is another process when a counter went back', () => {
    expect(after(warm, { kind: 'Up', metrics: '3' })).toMatchObject({ warm: false, problem: undefined, restarts: 1 });
  });

  it('is cold once nothing listens, or its health check fails', () => {
    expect(after(warm, { kind: 'Gone' })).toMatchObject({ warm: false, restarts: 1 });
    expect(after(warm, { kind: 'Unwell', status: 503 })).toMatchObject({ warm: false, restarts: 1 });
  });

  it('may miss two looks, not three; and is still warm when it answers again', () => {
    expect(after(warm, silent, silent)).toMatchObject({ warm: true, problem: undefined });
    const missed = after(warm, silent, silent, silent);
    expect(missed.problem).toContain('timeout');
    expect(after(missed, { kind: 'Up', metrics: '12' })).toMatchObject({ warm: true, problem: undefined, restarts: 0 });
    expect(after(missed, { kind: 'Up', metrics: '2' })).toMatchObject({ warm: false, restarts: 1 });
  });
});

describe('an engine that is cold', () => {
  it('has a problem until it is healthy, and counts no restarts meanwhile', () => {
    const loading = after(unseen, { kind: 'Gone' }, { kind: 'Unwell', status: 503 }, silent);
    expect(loading).toMatchObject({ warm: false, restarts: 0, problem: expect.stringContaining('does not answer') });
    expect(after(loading, { kind: 'Up', metrics: '0' })).toMatchObject({ warm: false, problem: undefined });
  });
});
