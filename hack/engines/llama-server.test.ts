import { describe, expect, it } from 'vitest';
import { debianMirror, versionOf } from './llama-server.ts';

describe("the machine's Debian mirror", () => {
  it('is read from both forms of apt sources, comments and other archives left out', () => {
    const deb822 =
      'Types: deb\n# URIs: http://snapshot.debian.org/debian\nURIs: http://mirror.example/debian\nSuites: bookworm\n';
    expect(debianMirror(deb822)).toBe('http://mirror.example/debian');
    const oneLine =
      'deb https://packages.example/apt x main\ndeb [arch=amd64] https://mirror.example/debian/ trixie main\n';
    expect(debianMirror(oneLine)).toBe('https://mirror.example/debian');
  });

  it("is Debian's own where the machine names none, as on Ubuntu", () => {
    const security = 'URIs: http://deb.debian.org/debian-security\nURIs: http://archive.ubuntu.com/ubuntu\n';
    expect(debianMirror(security)).toBe('http://deb.debian.org/debian');
  });
});

describe('the version of llama-server', () => {
  it('is that of its package, without epoch and revision', () => {
    expect(versionOf(['libc6_2.43-7_amd64.deb', 'llama.cpp-tools_1%3a0.7.0+dfsg-2_amd64.deb'])).toBe('0.7.0');
    expect(() => versionOf(['libc6_2.43-7_amd64.deb'])).toThrow('no llama.cpp-tools');
  });
});
