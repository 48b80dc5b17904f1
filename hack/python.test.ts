import { describe, expect, it } from 'vitest';
import { packagesOf } from './python.ts';

describe('requirements of Python', () => {
  it('are the lines that name packages', () => {
    const text = '# plots\nmatplotlib==3.11.2  # and what it needs\n\n--extra-index-url x\nscikit-learn==1.9.1\n';
    expect(packagesOf(text)).toEqual(['matplotlib 3.11.2', 'scikit-learn 1.9.1']);
  });
});
