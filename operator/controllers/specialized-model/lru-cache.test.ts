import { describe, expect, it } from 'vitest';
import { LruCache } from './lru-cache.ts';

describe('cached results', () => {
  it('are the same for the same object, and others for another that looks like it', () => {
    const cache = new LruCache<object, object>(2);
    const key = {};
    const first = cache.get(key, () => ({}));
    expect(cache.get(key, () => ({}))).toBe(first);
    expect(cache.get({}, () => ({}))).not.toBe(first);
  });

  it('are forgotten when more than so many others were used since', () => {
    const cache = new LruCache<object, string>(2);
    const [a, b, c] = [{}, {}, {}];
    cache.get(a, () => 'a');
    cache.get(b, () => 'b');
    cache.get(a, () => 'again');
    cache.get(c, () => 'c');
    expect(cache.get(a, () => 'anew')).toBe('a');
    expect(cache.get(b, () => 'anew')).toBe('anew');
  });
});
