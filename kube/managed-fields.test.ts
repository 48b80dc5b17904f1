import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseWithoutManagedFields } from './managed-fields.ts';

/** As kube-apiserver writes them, with keys that hold quotes. */
const managedFields = [
  {
    manager: 'cadre',
    operation: 'Apply',
    apiVersion: 'apps/v1',
    time: '2026-01-01T00:00:00Z',
    fieldsType: 'FieldsV1',
    fieldsV1: { 'f:spec': { 'f:ports': { 'k:{"containerPort":8000,"protocol":"TCP"}': { '.': {}, 'f:name': {} } } } },
  },
  { manager: 'kube-controller-manager', subresource: 'status', fieldsV1: { 'f:status': { 'v:"a"': {} } } },
];

describe('an object without managedFields', () => {
  it.each([
    ['last of the metadata, as in built-in kinds', { name: 'a', uid: 'u', managedFields }],
    ['in the middle, as in custom resources', { generation: 1, managedFields, name: 'a' }],
    ['first', { managedFields, name: 'a' }],
    ['alone', { managedFields }],
  ])('is the same object where they stand %s', (_, metadata) => {
    const object = { kind: 'Deployment', metadata, spec: { replicas: 1, ports: [{ a: 1 }] } };
    const { managedFields: gone, ...rest } = metadata as { managedFields: unknown };
    expect(gone).toBeDefined();
    expect(parseWithoutManagedFields(JSON.stringify(object))).toEqual({ ...object, metadata: rest });
  });

  it('is the same object where there are none', () => {
    const object = { metadata: { name: 'a', annotations: { note: '"managedFields":[{}]' } } };
    expect(parseWithoutManagedFields(JSON.stringify(object))).toEqual(object);
  });

  it('is whole where the cut would break it', () => {
    const object = { metadata: { name: 'a', managedFields: [{ fieldsV1: { list: [{ a: 1 }], more: {} } }] } };
    expect(parseWithoutManagedFields(JSON.stringify(object))).toEqual(object);
  });

  it('is the same object whatever else is in it', () => {
    fc.assert(
      fc.property(fc.json(), fc.dictionary(fc.string(), fc.string()), (spec, annotations) => {
        const metadata = { annotations, managedFields, name: 'a' };
        const object = { metadata, spec: JSON.parse(spec) as unknown };
        const expected = JSON.parse(JSON.stringify({ ...object, metadata: { annotations, name: 'a' } })) as unknown;
        expect(parseWithoutManagedFields(JSON.stringify(object))).toEqual(expected);
      }),
    );
  });

  it('throws for what is no JSON', () => {
    expect(() => parseWithoutManagedFields('{"metadata":{"managedFields":[{}]')).toThrow(SyntaxError);
  });
});
