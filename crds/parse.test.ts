import { describe, expect, it } from 'vitest';
import { parseRoutingPolicy, parseSpecializedModel } from './parse.ts';

const metadata = { name: 'triage', namespace: 'support', uid: 'u', generation: 1, resourceVersion: '1' };
const model = {
  apiVersion: 'cadre.dev/v1alpha1',
  kind: 'SpecializedModel',
  metadata,
  spec: {
    task: 'Classification',
    model: { uri: 'pvc://models/a.gguf' },
    engine: { type: 'LlamaCpp' },
    gpu: { profile: 'l4' },
    replicas: 1,
  },
};
const policy = {
  apiVersion: 'cadre.dev/v1alpha1',
  kind: 'RoutingPolicy',
  metadata,
  spec: {
    access: { keys: [{ name: 'web', secretRef: { name: 'web', key: 'token' } }] },
    backends: [{ name: 'specialist', modelRef: { name: 'triage' } }],
    split: [{ backend: 'specialist', weight: 1 }],
  },
};

describe('parse', () => {
  it('returns a model with the defaults that the API server would have set', () => {
    const parsed = parseSpecializedModel(model);
    expect(parsed).toEqual({
      ok: true,
      value: { ...model, spec: { ...model.spec, gpu: { profile: 'l4', count: 1 } } },
    });
  });

  it('returns a policy with the defaults that the API server would have set', () => {
    const parsed = parseRoutingPolicy(policy);
    expect(parsed).toMatchObject({
      ok: true,
      value: {
        metadata,
        spec: {
          timeouts: { firstByte: '10s', idle: '20s', total: '60s' },
        },
      },
    });
  });

  it('names the field of each problem, with its place in lists', () => {
    const parsed = parseRoutingPolicy({
      ...policy,
      spec: { ...policy.spec, split: [{ backend: 'specialist', weight: -1 }], model: 7 },
    });
    expect(parsed.ok).toBe(false);
    const problems = parsed.ok ? [] : parsed.problems;
    expect(problems).toEqual([
      expect.stringMatching(/^spec\.model: /),
      expect.stringMatching(/^spec\.split\[0\]\.weight: /),
    ]);
  });

  it.each([undefined, null, 7, 'x', [], {}, { metadata: null }])('says of %j that it is no object', (object) => {
    expect(parseSpecializedModel(object)).toEqual({
      ok: false,
      problems: ['not an object of Kubernetes: it has no metadata.name'],
    });
  });

  it('says that the whole spec is missing', () => {
    expect(parseSpecializedModel({ ...model, spec: undefined })).toMatchObject({
      ok: false,
      problems: [expect.stringMatching(/^spec: /)],
    });
  });
});
