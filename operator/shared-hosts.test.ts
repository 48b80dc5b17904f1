import { describe, expect, it } from 'vitest';
import { isSharedWith, listsHost } from './shared-hosts.ts';

const lists = (entry: string, url: string): boolean => listsHost([entry], new URL(url));

describe('a list of hosts', () => {
  it.each([
    ['a host stands for its port', 'llm.example.com', 'https://llm.example.com/v1'],
    ['a host stands for every port', 'llm.example.com', 'https://llm.example.com:8443/v1'],
    ['a host with the port of https needs none in the URL', 'llm.example.com:443', 'https://llm.example.com/v1'],
    [
      'a host with the port of https, which the URL has as well',
      'llm.example.com:443',
      'https://llm.example.com:443/v1',
    ],
    ['a host with a port', 'llm.example.com:8443', 'https://llm.example.com:8443/v1'],
    ['capital letters do not count', 'LLM.Example.com:8443', 'https://llm.example.com:8443/v1'],
    ['white space around it does not count', '\tllm.example.com \n', 'https://llm.example.com/v1'],
    ['the dot of the root does not count', 'llm.example.com.', 'https://llm.example.com/v1'],
    ['the dot of the root does not count in the URL', 'llm.example.com', 'https://llm.example.com./v1'],
    ['the dot of the root does not count before a port', 'llm.example.com.:8443', 'https://llm.example.com:8443/v1'],
    ['an address', '192.0.2.7', 'https://192.0.2.7/v1'],
    ['an address of IPv6 in brackets', '[2001:db8::1]:8443', 'https://[2001:db8::1]:8443/v1'],
    ['an address of IPv6 for every port', '[2001:db8::1]', 'https://[2001:db8::1]:8443/v1'],
  ])('has the host of a URL: %s', (_, entry, url) => {
    expect(lists(entry, url)).toBe(true);
  });

  it.each([
    ['nothing', '', 'https://llm.example.com/v1'],
    ['a port only', ':443', 'https://llm.example.com/v1'],
    ['another host', 'other.example.com', 'https://llm.example.com/v1'],
    ['a host above', 'example.com', 'https://llm.example.com/v1'],
    ['a host that ends alike', 'llm.example.com', 'https://evil-llm.example.com/v1'],
    ['a pattern', '*.example.com', 'https://llm.example.com/v1'],
    ['another port', 'llm.example.com:8443', 'https://llm.example.com/v1'],
    ['the port of https, not of this URL', 'llm.example.com:443', 'https://llm.example.com:8443/v1'],
    ['a port that is none', 'llm.example.com:', 'https://llm.example.com/v1'],
    ['a URL', 'https://llm.example.com', 'https://llm.example.com/v1'],
    ['a path', 'llm.example.com/v1', 'https://llm.example.com/v1'],
  ])('has not the host of a URL: %s', (_, entry, url) => {
    expect(lists(entry, url)).toBe(false);
  });
});

describe('a Secret', () => {
  const shared = (hosts?: string) =>
    isSharedWith(
      { annotations: hosts === undefined ? {} : { 'cadre.dev/hosts': hosts } },
      new URL('https://b.example.com/'),
    );

  it('is shared with the hosts that its annotation lists, separated by commas', () => {
    expect(shared('a.example.com,b.example.com:443')).toBe(true);
    expect(shared('a.example.com, b.example.com , c.example.com')).toBe(true);
    expect(shared('a.example.com b.example.com')).toBe(false);
  });

  it('without the annotation is shared with nobody', () => {
    expect(shared()).toBe(false);
    expect(isSharedWith({}, new URL('https://b.example.com/'))).toBe(false);
  });
});
