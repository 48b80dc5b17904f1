import { describe, expect, it } from 'vitest';
import { lastWords, steady } from './last-words.ts';

describe('the last words of a container', () => {
  it('are the lines that tell of errors, each once', () => {
    const log =
      '0.00.018.416 I srv load\n0.00.018.711 E failed to open\n0.00.018.805 E failed to open\n0.00.018.810 I srv cleaning up\n';
    expect(lastWords(log)).toBe('failed to open');
  });

  it('are without vLLM’s process, time and place', () => {
    const log =
      '(EngineCore_0 pid=123) ERROR 11-24 23:17:05 [core.py:708] ValueError: No available memory for the cache blocks';
    expect(lastWords(log)).toBe('ValueError: No available memory for the cache blocks');
  });

  it('are the last lines when none tells of an error', () => {
    expect(lastWords('one\ntwo\n')).toBe('one; two');
  });

  it('are short, and end with the end', () => {
    const words = lastWords(`error: ${'x'.repeat(5000)} the end`);
    expect(words.length).toBeLessThan(700);
    expect(words).toMatch(/^….* the end$/);
  });
});

describe('a steady message', () => {
  it.each([
    ['pods "triage-5d4b6c7b8d-x2x7k" is forbidden: exceeded quota: small', 'pods are forbidden: exceeded quota: small'],
    ['read udp 10.1.2.3:45678->10.96.0.10:53: i/o timeout', 'read udp 10.1.2.3->10.96.0.10:53: i/o timeout'],
    ['rpc error: code = Unknown desc = no such image', 'no such image'],
  ])('%s', (text, same) => {
    expect(steady(text)).toBe(same);
  });
});
