import path from 'node:path';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { modelUriProblem, parseModelUri } from './model-uri.ts';

describe('parseModelUri', () => {
  it.each([
    ['pvc://models/smollm2.gguf', { scheme: 'pvc', claim: 'models', path: 'smollm2.gguf' }],
    ['pvc://my.claim-1/a/b.c/d_e+f', { scheme: 'pvc', claim: 'my.claim-1', path: 'a/b.c/d_e+f' }],
    ['pvc://models/.cache/x', { scheme: 'pvc', claim: 'models', path: '.cache/x' }],
    ['pvc://models/..data', { scheme: 'pvc', claim: 'models', path: '..data' }],
    ['pvc://models/...', { scheme: 'pvc', claim: 'models', path: '...' }],
    ['hf://acme/ticket-classifier', { scheme: 'hf', owner: 'acme', repo: 'ticket-classifier' }],
    ['hf://acme/Qwen2.5_GGUF/q4/m.gguf', { scheme: 'hf', owner: 'acme', repo: 'Qwen2.5_GGUF', file: 'q4/m.gguf' }],
    [
      'https://models.example.com/a/b.gguf',
      {
        scheme: 'https',
        url: 'https://models.example.com/a/b.gguf',
        host: 'models.example.com',
        fileName: 'b.gguf',
      },
    ],
    [
      'https://127.0.0.1:8443/b.gguf',
      { scheme: 'https', url: 'https://127.0.0.1:8443/b.gguf', host: '127.0.0.1:8443', fileName: 'b.gguf' },
    ],
  ])('takes %s apart', (uri, parsed) => {
    expect(parseModelUri(uri)).toEqual(parsed);
  });

  it.each([
    '',
    'models/a.gguf',
    's3://bucket/a',
    'file:///etc/passwd',
    'http://example.com/a',
    'PVC://models/a',
    ' pvc://models/a',
    'hostpath:///a',
  ])('refuses the scheme of %j and lists those that there are', (uri) => {
    expect(() => parseModelUri(uri)).toThrow('model.uri must start with pvc://, hf:// or https://');
  });

  it.each([
    'pvc://models',
    'pvc://models/',
    'pvc:///a',
    'pvc://models//a',
    'pvc://models/a/',
    'pvc://models/../a',
    'pvc://models/a/../../b',
    'pvc://models/..',
    'pvc://models/.',
    'pvc://models/./a',
    'pvc://models/a/..',
    'pvc://../a',
    'pvc://models/%2e%2e/a',
    'pvc://models/a%2fb',
    'pvc://models/a?x=1',
    'pvc://models/a#b',
    'pvc://models/a b',
    'pvc://models/a\\..\\b',
    'pvc://models/a\n',
    'pvc://models/a\u0000',
    'pvc://models/a:b',
    'pvc://models/$(HOME)',
    'pvc://Models/a',
    'pvc://models@x/a',
  ])('refuses %j, which would leave the claim or be read in two ways', (uri) => {
    expect(() => parseModelUri(uri)).toThrow('model.uri with pvc must be pvc://CLAIM/PATH');
  });

  it.each([
    'hf://acme',
    'hf://acme/',
    'hf://acme/repo/',
    'hf:///repo',
    'hf://acme/../repo',
    'hf://../repo',
    'hf://acme/repo/../x',
    'hf://acme/repo/a//b',
    'hf://acme/repo@main',
    'hf://acme/repo?x',
    'hf://-acme/repo',
    `hf://acme/${'a'.repeat(97)}`,
  ])('refuses %j, which is no repository of the hub', (uri) => {
    expect(() => parseModelUri(uri)).toThrow('model.uri with hf must be hf://OWNER/REPO');
  });

  it.each([
    'https://example.com',
    'https://example.com/',
    'https://user@example.com/a',
    'https://user:secret@example.com/a',
    'https://example.com/a?token=1',
    'https://example.com/a#b',
    'https://example.com/a/../b',
    'https://example.com/%2e%2e/b',
    'https://example.com//a',
    'https:///a',
    'https://example.com:0/a',
    'https://example.com:/a',
    'https://example.com:65536/a',
    'https://0x7f.1/a',
    'https://2130706433/a',
    'https://10.0.0.256/a',
    'https://010.0.0.1/a',
    'https://example.1/a',
    'https://EXAMPLE.com/a',
    'https://-example.com/a',
    'https://example..com/a',
    'https://[::1]/a',
    'https://example.com\\@evil.example/a',
  ])('refuses %j, which is not a plain https URL of a file', (uri) => {
    expect(() => parseModelUri(uri)).toThrow('model.uri with https must be https://HOST[:PORT]/PATH');
  });

  it('refuses what is too long', () => {
    expect(modelUriProblem(`pvc://models/${'a'.repeat(1024)}`)).toBe('model.uri must be at most 1024 characters long');
    expect(modelUriProblem(`pvc://${'a'.repeat(253)}/m`)).toBeUndefined();
    expect(modelUriProblem(`pvc://${'a'.repeat(254)}/m`)).toBe('model.uri must name a claim of at most 253 characters');
  });

  it('never accepts a path that leaves its folder', () => {
    const piece = fc.constantFrom('.', '..', '...', '.a', 'a', '', '%2e', '\\', '/', '~', '..a');
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 6 }), fc.constantFrom('/', ''), (pieces, separator) => {
        const uri = `pvc://models/${pieces.join(separator)}`;
        if (modelUriProblem(uri)) return;
        const parsed = parseModelUri(uri);
        if (parsed.scheme !== 'pvc') throw new Error('not a pvc URI');
        expect(path.posix.normalize(`/models/${parsed.path}`)).toBe(`/models/${parsed.path}`);
        expect(path.posix.normalize(`/models/${parsed.path}`).startsWith('/models/')).toBe(true);
      }),
      { numRuns: 2000 },
    );
  });

  it('reads an https URI as the one URL that a client would call', () => {
    const piece = fc.constantFrom(
      'a',
      'example',
      '-',
      '.',
      '10',
      '0',
      '255',
      '0x7f',
      '1',
      ':8443',
      ':',
      '/',
      '~',
      '@',
      '%',
      '..',
    );
    fc.assert(
      fc.property(fc.array(piece, { minLength: 1, maxLength: 8 }), (pieces) => {
        const uri = `https://${pieces.join('')}/m.gguf`;
        if (modelUriProblem(uri)) return;
        const url = new URL(uri);
        expect(url.href).toBe(uri);
        expect(parseModelUri(uri)).toMatchObject({ host: url.host, url: uri });
      }),
      { numRuns: 5000 },
    );
    expect(parseModelUri('https://10.0.0.255:65535/m.gguf')).toMatchObject({ host: '10.0.0.255:65535' });
  });
});
