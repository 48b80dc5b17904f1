import type { Route } from '../../../crds/route-table.ts';
import { compileSchema, InvalidSchemaError } from '../../../quality/json-schema.ts';

/** What the answers of a route are, where they are documents. */
export interface OutputSchema {
  /** Why a document is none; undefined: it is one. */
  problemOf: (document: unknown) => string | undefined;
  /** Names of the fields that each document has at its top. */
  required: readonly string[];
}

type JsonSchema = NonNullable<Route['output']['jsonSchema']>;

/** By the schema as it stands in its route, which most changes of the table leave as it is. */
const compiled = new WeakMap<JsonSchema, OutputSchema>();

/** Prepares the schema of a route; undefined where it has none. */
export function outputSchema({ jsonSchema }: Route['output']): OutputSchema | undefined {
  if (!jsonSchema) return undefined;
  let schema = compiled.get(jsonSchema);
  if (!schema) compiled.set(jsonSchema, (schema = compile(jsonSchema)));
  return schema;
}

function compile(jsonSchema: JsonSchema): OutputSchema {
  try {
    return compileSchema(jsonSchema);
  } catch (error) {
    if (!(error instanceof InvalidSchemaError)) throw error;
    // Whoever made the route has compiled it before. No answer is better than one that nobody has checked.
    return { problemOf: () => `output.jsonSchema is no JSON Schema (${error.message})`, required: [] };
  }
}
