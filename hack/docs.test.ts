import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import pkg from '../package.json' with { type: 'json' };

const root = join(import.meta.dirname, '..');
const files = globSync('**/*.{md,ts}', { cwd: root, exclude: ['**/node_modules', 'dist'] });
const read = (file: string): string => readFileSync(join(root, file), 'utf8');
const pages = files.filter((file) => file.endsWith('.md'));

/** What a pattern's first group finds in a text. */
const found = (text: string, pattern: RegExp): string[] => [...text.matchAll(pattern)].map(([, group]) => group ?? '');

describe.each(pages)('%s', (page) => {
  const text = read(page);

  it('links to files that exist', () => {
    const targets = found(text, /\]\((?!https?:|mailto:|#)([^)#\s]+)[^)]*\)/g);
    expect(targets.filter((target) => !existsSync(join(root, dirname(page), target)))).toEqual([]);
  });

  it('names make targets and npm scripts that exist', () => {
    const targets = found(read('Makefile'), /^([a-z-]+):/gm);
    const code = found(text, /`([^`\n]+)`/g).concat(found(text, /^((?:make|npm) .*)$/gm));
    const asked = code.flatMap((line) => found(line, /^make ([a-z-]+)/g));
    const scripts = code.flatMap((line) => found(line, /^npm run ([a-z:-]+)/g));
    expect(asked.filter((name) => !targets.includes(name))).toEqual([]);
    expect(scripts.filter((name) => !(name in pkg.scripts))).toEqual([]);
  });

  it('names environment variables that exist', () => {
    const names = new Set(found(text, /\b(CADRE_[A-Z_]+)\b/g));
    const sources = files.filter((file) => file.endsWith('.ts') && file !== 'hack/docs.test.ts').map(read);
    expect([...names].filter((name) => !sources.some((source) => source.includes(name)))).toEqual([]);
  });
});

describe('docs/reference/metrics.md and docs/router.md', () => {
  const docs = read('docs/reference/metrics.md') + read('docs/router.md');
  const sources = files.filter((file) => /^(kube|operator|runtime)\/(?!.*(\.test\.ts|\/testing\/)).*\.ts$/.test(file));
  const metrics = sources
    .map(read)
    .filter((text) => text.includes("from 'prom-client'"))
    .flatMap((text) => found(text, /(?:name: |gauge\(\s*)'([a-z_]+)'/g));

  it('list every metric', () => {
    expect(metrics.length).toBeGreaterThan(25);
    expect(metrics.filter((name) => !docs.includes(`\`${name}\``))).toEqual([]);
  });

  it('list no metric that does not exist', () => {
    const listed = found(docs, /`((?:cadre|workqueue|controller_runtime|reflector)_[a-z_]+[a-z])`/g);
    expect(listed.filter((name) => !metrics.includes(name))).toEqual([]);
  });
});
