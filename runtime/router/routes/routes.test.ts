import { describe, expect, it } from 'vitest';
import { routeDataKey } from '../../../crds/names.ts';
import type { Route } from '../../../crds/route-table.ts';
import { endpointSlice, routeSecret } from '../testing/objects.ts';
import { aModel, aProvider, aRoute, sha256 } from '../testing/router.ts';
import { type EndpointSlice, modelOf, readyOrigins } from './endpoint-source.ts';
import { replicasIn } from './replicas.ts';
import { readRoute } from './route-source.ts';
import { buildTable, publicNames } from './table.ts';

const slice = (over: Partial<EndpointSlice>): EndpointSlice => ({ ...endpointSlice('s', 'small', 8000, 1), ...over });
const endpoint = (address: string, conditions: object = {}, uid?: string) => ({
  addresses: [address],
  conditions,
  ...(uid !== undefined && { targetRef: { uid } }),
});

describe('replicasIn', () => {
  it('counts pods that take requests, and this one before anybody knows of it', () => {
    const endpoints = [
      endpoint('10.0.0.1', { ready: true }, 'a'),
      endpoint('10.0.0.2', { ready: true }, 'b'),
      endpoint('10.0.0.3', { ready: false }, 'c'),
      endpoint('10.0.0.4', { ready: true, terminating: true }, 'd'),
    ];
    expect(replicasIn([slice({ endpoints })])).toBe(2);
    expect(replicasIn([])).toBe(1);
  });
});

describe('modelOf', () => {
  const labelled = (labels: Record<string, string>) => {
    const made = slice({});
    return modelOf({ ...made, metadata: { ...made.metadata, labels } });
  };

  it('is the model whose own Service the slice is of', () => {
    expect(modelOf(slice({}))).toEqual(['support/small']);
  });

  it('is none for a slice of another Service that has copied the labels', () => {
    expect(labelled({ 'cadre.dev/model': 'small', 'kubernetes.io/service-name': 'debug' })).toEqual([]);
    expect(labelled({ 'cadre.dev/model': 'small' })).toEqual([]);
  });
});

describe('readyOrigins', () => {
  it('are those that are ready and not about to end; unknown counts as ready', () => {
    const endpoints = [
      endpoint('10.0.0.1', { ready: true }),
      endpoint('10.0.0.2', { ready: false }),
      endpoint('10.0.0.3', { ready: true, terminating: true }),
      endpoint('10.0.0.4', {}),
    ];
    expect(readyOrigins([slice({ endpoints })])).toEqual(['http://10.0.0.1:8000', 'http://10.0.0.4:8000']);
  });

  it('name the engine’s port, not the sidecar’s', () => {
    const ports = [
      { name: 'sidecar', port: 8010 },
      { name: 'http', port: 8000 },
    ];
    expect(readyOrigins([slice({ ports, endpoints: [endpoint('10.0.0.1')] })])).toEqual(['http://10.0.0.1:8000']);
  });

  it('have a pod of two address families once, and IPv6 in brackets', () => {
    const v4 = slice({ endpoints: [endpoint('10.0.0.1', {}, 'a')] });
    const v6 = slice({ addressType: 'IPv6', endpoints: [endpoint('fd00::1', {}, 'a'), endpoint('fd00::2', {}, 'b')] });
    expect(readyOrigins([v6, v4])).toEqual(['http://10.0.0.1:8000', 'http://[fd00::2]:8000']);
  });

  it('are none for slices without endpoints or ports', () => {
    expect(readyOrigins([slice({ endpoints: [], ports: [] }), slice({ addressType: 'FQDN' })])).toEqual([]);
  });
});

describe('readRoute', () => {
  const read = (route: unknown) => readRoute(routeSecret('r', route as Route, 1));
  const route = aRoute([aModel('small'), aProvider('flagship', 'https://api.example.com/v1')]);

  it('reads what the operator writes', () => {
    expect(read(route)).toEqual({ route });
  });

  it.each([
    [{ ...route, version: 2 }, 'not a route of version 1: version'],
    [{ ...route, access: { mode: 'None' } }, 'access'],
    [{ ...route, split: [{ backend: 'nobody', weight: 1 }] }, '"nobody"'],
    [{ ...route, fallback: ['nobody'] }, '"nobody"'],
    [{ ...route, backends: [aProvider('small', 'nonsense')], fallback: [] }, 'baseUrl of "small"'],
  ])('tells what is wrong, without a word of the keys', (broken, problem) => {
    const result = read(broken);
    expect(result).toEqual({ problem: expect.stringContaining(problem) as unknown });
    expect(JSON.stringify(result)).not.toContain('provider-key');
  });

  it('tells of a Secret that is none', () => {
    const secret = routeSecret('r', route, 1);
    expect(readRoute({ ...secret, type: 'Opaque' })).toEqual({
      problem: expect.stringContaining('type is Opaque') as unknown,
    });
    expect(readRoute({ ...secret, data: {} })).toEqual({ problem: 'data.route.json is absent' });
    expect(readRoute({ ...secret, data: { [routeDataKey]: 'eA==' } })).toEqual({
      problem: 'data.route.json is not JSON',
    });
  });
});

describe('buildTable', () => {
  const key = sha256('k');
  const named = (namespace: string, model: string, shortName?: boolean): Route =>
    aRoute([aModel('small')], {
      policy: { namespace, name: `${model}-policy`, uid: namespace, generation: 1 },
      model,
      access: { mode: 'Keys', keys: [{ name: 'web', sha256: key, ...(shortName !== undefined && { shortName }) }] },
    });
  const table = (...routes: Route[]) => buildTable(routes.map((route) => ({ route, created: 0 })));

  it('gives a contested short name to whom the operator says, and each its long one', () => {
    const principal = table(named('a', 'triage', false), named('b', 'triage')).byKey.get(key);
    expect(principal?.routes.get('triage')?.longName).toBe('b/triage-policy');
    expect(principal?.routes.get('a/triage-policy')?.longName).toBe('a/triage-policy');
    expect(principal && publicNames(principal).map(({ name }) => name)).toEqual(['a/triage-policy', 'triage']);
  });

  it('is the same in whatever order the routes come', () => {
    const [one, two] = [named('a', 'triage'), named('b', 'triage')];
    for (const routes of [table(one, two), table(two, one)])
      expect(routes.byKey.get(key)?.routes.get('triage')?.longName).toBe('a/triage-policy');
  });
});
