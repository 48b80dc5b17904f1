import { describe, expect, it } from 'vitest';
import type { SpecializedModelStatus } from '../../../crds/v1alpha1/specialized-model.ts';
import { eventOf } from './events.ts';

/** `Ready=True/Serving` and the like. */
function status(...conditions: string[]): SpecializedModelStatus {
  return {
    conditions: conditions.map((text) => {
      const [type = '', value = '', reason = ''] = text.split(/[=/]/);
      const state = value === 'True' ? 'True' : 'False';
      return { type, status: state, reason, message: 'why', lastTransitionTime: '2026-01-01T00:00:00Z' };
    }),
  };
}

const loading = status('Accepted=True/Accepted', 'Ready=False/Loading', 'Reconciling=True/Loading');
const ready = status('Accepted=True/Accepted', 'Ready=True/Serving');
const crashing = status('Accepted=True/Accepted', 'Ready=False/CrashLooping', 'Stalled=True/CrashLooping');
const refused = status('Accepted=False/InvalidArgs', 'Ready=False/InvalidArgs', 'Stalled=True/InvalidArgs');

describe('the event of a change of status', () => {
  it.each([
    ['a model that begins', undefined, loading, undefined],
    ['a model that begins to serve', loading, ready, 'Normal Serving'],
    ['a model that serves at once', undefined, ready, 'Normal Serving'],
    ['a model that ceases to serve', ready, loading, 'Warning Loading'],
    ['a model that gets stuck', loading, crashing, 'Warning CrashLooping'],
    ['a model that is stuck for another reason', refused, crashing, 'Warning CrashLooping'],
    ['a model that stays stuck', crashing, crashing, undefined],
    ['a model that is refused', ready, refused, 'Warning InvalidArgs'],
    ['a model that recovers', crashing, ready, 'Normal Serving'],
    ['a model that tries again', crashing, loading, undefined],
  ])('%s', (_, before, after, expected) => {
    const event = eventOf(before, after);
    expect(event && `${event.type} ${event.reason}`).toBe(expected);
  });
});
