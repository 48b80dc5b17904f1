import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { group } from '../crds/names.ts';
import { chartValuesSchema } from './chart-values.ts';
import { conditionsReference } from './generate/conditions.ts';
import { crdManifest, crdTemplate, customResourceDefinition } from './generate/crd.ts';
import { difference } from './generate/difference.ts';
import { editorSchema, editorSchemaName } from './generate/editor-schema.ts';
import { kinds } from './generate/kinds.ts';
import { reference } from './generate/reference.ts';
import { structuralSchema } from './generate/schema.ts';
import { ticketTriageManifests } from './generate/ticket-triage.ts';

/** Every generated file: its path within the repository, and its text. */
export async function generatedFiles(root: string): Promise<Map<string, string>> {
  const entries = await Promise.all(
    kinds.map(async (definition) => ({
      definition,
      schema: structuralSchema(definition.type),
      samples: await Promise.all(definition.samples.map((path) => readFile(join(root, path), 'utf8'))),
    })),
  );
  const files = entries.flatMap(({ definition, schema }): [string, string][] => {
    const crd = customResourceDefinition(definition, schema);
    return [
      [`crds/${group}_${definition.plural}.yaml`, crdManifest(crd)],
      [`crds/schema/${editorSchemaName(definition)}`, editorSchema(definition, schema)],
      [`charts/cadre/templates/crds/${definition.plural}.yaml`, crdTemplate(crd)],
    ];
  });
  return new Map([
    ...files,
    ...(await ticketTriageManifests(root)),
    ['charts/cadre/values.schema.json', chartValuesSchema()],
    ['docs/reference/api.md', reference(entries)],
    ['docs/reference/conditions.md', conditionsReference()],
  ]);
}

/** Writes what differs, or with `check` only says so. Returns the paths of what differed. */
export async function writeGenerated(
  root: string,
  files: ReadonlyMap<string, string>,
  { check, log }: { check: boolean; log: (line: string) => void },
): Promise<string[]> {
  const stale: string[] = [];
  for (const [path, text] of files) {
    const file = join(root, path);
    const before = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return '';
      throw error;
    });
    if (before === text) continue;
    stale.push(path);
    if (check) {
      log(`${path} is stale:\n${difference(before, text)}`);
      continue;
    }
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, text);
    log(`wrote ${path}`);
  }
  return stale;
}

if (import.meta.main) {
  const root = resolve(import.meta.dirname, '..');
  const check = process.argv.includes('--check');
  const log = (line: string): void => console.log(line);
  const stale = await writeGenerated(root, await generatedFiles(root), { check, log });
  if (stale.length === 0) log('generated files are fresh');
  else if (check) {
    log(`${stale.length} generated files are stale: run make generate`);
    process.exitCode = 1;
  }
}
