import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { readConfig } from './config.ts';
import { temporaryFolder } from './testing/temporary-folder.ts';

const schema = z.strictObject({ image: z.string(), drain: z.strictObject({ seconds: z.int().min(0) }) });

let folder: string;
beforeAll(async () => {
  const made = await temporaryFolder('config');
  folder = made.path;
  return made.remove;
});

function file(text: string): string {
  const path = join(folder, 'config.yaml');
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
