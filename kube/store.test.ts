import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ObjectStore } from './store.ts';
import { type ConfigMap, configMap } from './testing/objects.ts';
import { type Change, keyOf } from './types.ts';

const byColor = { color: ({ data }: ConfigMap) => (data?.['color'] ?? '').split('+').filter(Boolean) };

function colored(name: string, version: number, color: string, uid?: string): ConfigMap {
  return { ...configMap(name, version, uid), data: { color } };
}

describe('a store', () => {
  it('finds objects by key and by the values of an index', () => {
    const store = new ObjectStore(byColor);
    store.set(colored('a', 1, 'red'));
    store.set(colored('b', 2, 'red+blue'));
    expect(store.get('default/a')?.metadata.resourceVersion).toBe('1');
    expect(store.byIndex('color', 'red').map(keyOf)).toEqual(['default/a', 'default/b']);
    store.set(colored('b', 3, 'blue'));
    expect(store.byIndex('color', 'red').map(keyOf)).toEqual(['default/a']);
    store.delete(colored('b', 4, 'blue'));
    expect(store.byIndex('color', 'blue')).toEqual([]);
  });

  it('says which index is missing', () => {
    expect(() => new ObjectStore(byColor).byIndex('size', 'xl')).toThrow('no index named size; there are color');
  });

  it('reports nothing for what it knows already', () => {
    const store = new ObjectStore<ConfigMap>();
    store.set(configMap('a', 1));
    expect(store.set(configMap('a', 1))).toEqual([]);
    expect(store.delete(configMap('b', 1))).toEqual([]);
  });
});

const object = fc
  .record({
    name: fc.constantFrom('a', 'b', 'c', 'd'),
    version: fc.integer({ min: 1, max: 5 }),
    uid: fc.constantFrom('one', 'two'),
    color: fc.constantFrom('', 'red', 'blue', 'red+blue'),
  })
  .map(({ name, version, uid, color }) => colored(name, version, color, `${name}-${uid}`));
const step = fc.oneof(
  fc.record({ do: fc.constantFrom('set' as const, 'delete' as const), object }),
  fc.record({
    do: fc.constant('replace' as const),
    objects: fc.uniqueArray(object, { selector: keyOf, maxLength: 4 }),
  }),
);

describe('whatever a store is told', () => {
  it('its changes, one after the other, lead from each state to the next, and its indexes agree with it', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
        const store = new ObjectStore(byColor);
        const followed = new Map<string, ConfigMap>();
        const follow = ({ key, before, after }: Change<ConfigMap>): void => {
          expect(followed.get(key)).toBe(before);
          // An object never turns into another one: it goes, and the other comes.
          expect(after?.metadata.uid ?? before?.metadata.uid).toBe(before?.metadata.uid ?? after?.metadata.uid);
          if (after) followed.set(key, after);
          else followed.delete(key);
        };
        for (const one of steps) {
          if (one.do === 'replace') store.replace(one.objects).forEach(follow);
          else store[one.do](one.object).forEach(follow);
          expect(new Map([...store.list()].map((each) => [keyOf(each), each]))).toEqual(followed);
          for (const color of ['red', 'blue']) {
            const found = new Set(store.byIndex('color', color));
            expect(found).toEqual(new Set([...store.list()].filter((each) => byColor.color(each).includes(color))));
          }
        }
      }),
    );
  });
});
