import { describe, expect, it } from 'vitest';
import { difference } from './difference.ts';

describe('difference', () => {
  it('shows the lines that changed and where they begin', () => {
    expect(difference('a\nb\nc\nd\n', 'a\nx\ny\nd\n')).toBe('  line 2:\n  - b\n  - c\n  + x\n  + y');
  });

  it('shows what was added and what was removed', () => {
    expect(difference('a\nc', 'a\nb\nc')).toBe('  line 2:\n  + b');
    expect(difference('a\nb\nc', 'a\nc')).toBe('  line 2:\n  - b');
    expect(difference('a\na', 'a')).toBe('  line 2:\n  - a');
  });

  it('counts what is too much to show', () => {
    const many = Array.from({ length: 8 }, (_, index) => `line ${index}`).join('\n');
    expect(difference(many, 'other', 2)).toBe('  line 1:\n  - line 0\n  - line 1\n  - … 6 more\n  + other');
  });
});
