import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { readConfig } from './config.ts';

const schema = z.strictObject({ image: z.string(), drain: z.strictObject({ seconds: z.int().min(0) }) });

function file(text: string): string {
  const path = join(mkdtempSync(join(tmpdir(), 'cadre-config-')), 'config.yaml');
  writeFileSync(path, text);
  return path;
}

describe('a configuration file', () => {
  it('is YAML', () => {
    expect(readConfig(schema, file('image: cadre:1\ndrain: {seconds: 5}\n'))).toEqual({
      image: 'cadre:1',
      drain: { seconds: 5 },
    });
  });

  it('that is wrong is refused with the file and every wrong field', () => {
    const path = file('image: 3\ndrain: {seconds: -1, minutes: 2}\n');
    expect(() => readConfig(schema, path)).toThrow(new RegExp(`--config ${path} is not valid`));
    expect(() => readConfig(schema, path)).toThrow(/image: .*\n.*drain.seconds: .*\n.*minutes/s);
  });

  it('that is missing is named', () => {
    expect(() => readConfig(schema, '/nowhere/config.yaml')).toThrow(/--config \/nowhere\/config.yaml: ENOENT/);
  });
});
