import { describe, expect, it } from 'vitest';
import { Recent } from './recent.ts';

describe('recent results', () => {
  it('are the same for the same object, and others for another that looks like it', () => {
    const recent = new Recent<object, object>(2);
    const key = {};
    const first = recent.get(key, () => ({}));
    expect(recent.get(key, () => ({}))).toBe(first);
    expect(recent.get({}, () => ({}))).not.toBe(first);
  });

  it('are forgotten when more than so many others came since', () => {
    const recent = new Recent<object, string>(2);
    const [a, b, c] = [{}, {}, {}];
    recent.get(a, () => 'a');
    recent.get(b, () => 'b');
    recent.get(a, () => 'again');
    recent.get(c, () => 'c');
    expect(recent.get(a, () => 'anew')).toBe('a');
    expect(recent.get(b, () => 'anew')).toBe('anew');
  });
});
