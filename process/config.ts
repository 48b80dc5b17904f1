import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import type { z } from 'zod';
import { errorMessage, UserError } from './errors.ts';

/** Reads and checks a YAML configuration file. Throws a `UserError` that names the file and each wrong field. */
export function readConfig<T extends z.ZodType>(schema: T, file: string): z.infer<T> {
  let document: unknown;
  try {
    document = parse(readFileSync(file, 'utf8'));
  } catch (error) {
    throw new UserError('InvalidConfig', `--config ${file}: ${errorMessage(error)}`);
  }
  const result = schema.safeParse(document);
  if (result.success) return result.data;
  const problems = result.error.issues.map((issue) => `  ${issue.path.join('.') || '(document)'}: ${issue.message}`);
  throw new UserError('InvalidConfig', `--config ${file} is not valid:\n${problems.join('\n')}`);
}
