import { describe, expect, it } from 'vitest';
import { LruCache } from './lru-cache.ts';

describe('cached results', () => {
  it('are the same while they are made from the same object, and new for another that looks like it', () => {
    const cache = new LruCache<object>(2);
    const from = {};
    const first = cache.get('a', from, () => ({}));
    expect(cache.get('a', from, () => ({}))).toBe(first);
    expect(cache.get('a', {}, () => ({}))).not.toBe(first);
  });

  it('are those of their name, also when they are made from one object', () => {
    const cache = new LruCache<string>(2);
    const from = {};
    expect([cache.get('a', from, () => 'a'), cache.get('b', from, () => 'b')]).toEqual(['a', 'b']);
  });

  it('are forgotten when more than so many others were used since', () => {
    const cache = new LruCache<string>(2);
    const from = {};
    cache.get('a', from, () => 'a');
    cache.get('b', from, () => 'b');
    cache.get('a', from, () => 'again');
    cache.get('c', from, () => 'c');
    expect(cache.get('a', from, () => 'anew')).toBe('a');
    expect(cache.get('b', from, () => 'anew')).toBe('anew');
  });
});
