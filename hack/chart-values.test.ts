import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { operatorConfigSchema } from '../operator/config.ts';
import { chartValues, chartValuesSchema } from './chart-values.ts';

const chart = join(import.meta.dirname, '..', 'charts', 'cadre');
const values = parse(readFileSync(join(chart, 'values.yaml'), 'utf8')) as Record<string, unknown>;

describe("the chart's values", () => {
  it('have a schema that is fresh: `make generate` writes it', () => {
    expect(readFileSync(join(chart, 'values.schema.json'), 'utf8')).toBe(chartValuesSchema());
  });

  it('are complete but for the image, which has no public home yet', () => {
    expect(chartValues.safeParse(values).error?.issues.map((issue) => issue.path.join('.'))).toEqual([
      'image.repository',
    ]);
  });

  it("reach every field of the operator's configuration that the chart does not fill in by itself", () => {
    const filledIn = new Set(['image', 'namespace', 'routerSelector', 'operatorSelector', 'routeOwner']);
    const fields = Object.keys(operatorConfigSchema.shape).filter((field) => !filledIn.has(field));
    expect(Object.keys(values)).toEqual(expect.arrayContaining(fields));
  });

  it("refuse what the operator's configuration refuses", () => {
    const image = { repository: 'registry.example.com/cadre', tag: '', digest: '', pullPolicy: 'Always' };
    const accepts = (change: object): boolean => chartValues.safeParse({ ...values, image, ...change }).success;
    expect(accepts({})).toBe(true);
    expect(accepts({ gpuProfiles: { 'nvidia-l4': null } })).toBe(true);
    expect(accepts({ gpuProfiles: { mine: { resource: 'nvidia.com/gpu' } } })).toBe(false);
    expect(accepts({ drain: { delaySeconds: -1 } })).toBe(false);
    expect(accepts({ hub: { endpoint: 'hub.example.com' } })).toBe(false);
    expect(accepts({ providers: { ...Object(values['providers']), allowedCIDRs: ['10.0.0/8'] } })).toBe(false);
    expect(accepts({ imagepullsecrets: [] })).toBe(false);
  });
});
