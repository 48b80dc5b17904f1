import { describe, expect, it } from 'vitest';
import { errorMessage } from './errors.ts';

describe('the text of an error', () => {
  it('tells the causes behind it, each once', () => {
    const cause = new Error('connect ECONNREFUSED 127.0.0.1:6443');
    expect(errorMessage(new Error('the API server does not answer', { cause }))).toBe(
      'the API server does not answer: connect ECONNREFUSED 127.0.0.1:6443',
    );
    expect(errorMessage(new Error('failed: timeout', { cause: new Error('timeout') }))).toBe('failed: timeout');
  });

  it('reads anything that was thrown', () => {
    expect(errorMessage('plain text')).toBe('plain text');
    expect(errorMessage(new TypeError())).toBe('TypeError');
  });
});
