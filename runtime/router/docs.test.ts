import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Registry } from 'prom-client';
import { describe, expect, it } from 'vitest';
import type { z } from 'zod';
import { routerConfigSchema } from './config.ts';
import { createRouterMetrics } from './metrics.ts';

const docs = readFileSync(join(import.meta.dirname, '../../docs/router.md'), 'utf8');

describe('docs/router.md', () => {
  it('lists every metric', () => {
    const registry = new Registry();
    createRouterMetrics(registry);
    for (const { name } of registry.getMetricsAsArray()) expect(docs).toContain(`\`${name}\``);
  });

  it('lists every field of the configuration', () => {
    for (const field of fieldsOf(routerConfigSchema)) expect(docs).toContain(`\`${field}\``);
  });

  it('lists every code of an error', () => {
    const sources = readdirSync(import.meta.dirname, { recursive: true, encoding: 'utf8' }).filter(
      (file) => file.endsWith('.ts') && !file.endsWith('.test.ts'),
    );
    const codes = sources.flatMap((file) => {
      const text = readFileSync(join(import.meta.dirname, file), 'utf8');
      return [...text.matchAll(/new ApiError\([^']*?'([a-z_]+)'/g)].map(([, code]) => code as string);
    });
    expect(codes.length).toBeGreaterThan(20);
    for (const code of codes) expect(docs).toContain(`\`${code}\``);
  });
});

function fieldsOf(schema: z.ZodType, prefix = ''): string[] {
  let inner = schema as z.ZodType & { unwrap?: () => z.ZodType; shape?: Record<string, z.ZodType> };
  while (inner.shape === undefined && inner.unwrap) inner = inner.unwrap();
  if (!inner.shape) return [prefix];
  return Object.entries(inner.shape).flatMap(([name, field]) =>
    fieldsOf(field, prefix === '' ? name : `${prefix}.${name}`),
  );
}
