import { describe, expect, it } from 'vitest';
import type { SpecializedModelStatus } from '../crds/v1alpha1/specialized-model.ts';
import { aModel } from './controllers/specialized-model/testing/model-builder.ts';
import { ToldStatuses } from './told-statuses.ts';

const key = 'support/ticket-triage';
const before = aModel().withStatus({ readyReplicas: 0 });

describe('the last status of an object', () => {
  it('is what was written, while the cache shows what it was written over', () => {
    const told = new ToldStatuses<SpecializedModelStatus>();
    told.remember(key, before.build(), { readyReplicas: 1 });
    expect(told.last(key, before.build())).toEqual({ readyReplicas: 1 });
  });

  it('is what the cache shows, once that has moved on', () => {
    const told = new ToldStatuses<SpecializedModelStatus>();
    told.remember(key, before.build(), { readyReplicas: 1 });
    const later = before.withMetadata({ resourceVersion: '2' }).withStatus({ readyReplicas: 2 });
    expect(told.last(key, later.build())).toEqual({ readyReplicas: 2 });
    expect(told.last(key, before.build())).toEqual({ readyReplicas: 0 });
  });
});
