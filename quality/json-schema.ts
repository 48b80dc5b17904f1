import { Ajv } from 'ajv';
import { Ajv2020 } from 'ajv/dist/2020.js';

/** Largest schema, in bytes as JSON. */
export const maxSchemaBytes = 32 * 1024;

/** A JSON Schema, ready to judge documents. */
export interface CompiledSchema {
  /** Why a document is not valid, in a few words without its content; undefined: it is. */
  problemOf: (document: unknown) => string | undefined;
  /** Names of the fields that each document must have at its top. */
  required: readonly string[];
}

/** A schema that can't be compiled; the message says what is wrong with it. */
export class InvalidSchemaError extends Error {
  override readonly name = 'InvalidSchemaError';
}

/**
 * Compiles a JSON Schema: draft 7, or 2020-12 where its `$schema` says so. What a schema says of formats is not checked, nor
 * is a keyword that nobody knows; nothing is fetched.
 *
 * @throws InvalidSchemaError
 */
export function compileSchema(schema: Readonly<Record<string, unknown>>): CompiledSchema {
  const { $schema: draft, ...rest } = schema;
  const ajv = typeof draft === 'string' && draft.includes('2020-12') ? draft2020() : draft7();
  try {
    const validate = ajv.compile(rest);
    const { required } = rest;
    return {
      required: Array.isArray(required) ? required.filter((name) => typeof name === 'string') : [],
      problemOf(document) {
        if (validate(document)) return undefined;
        const [first] = validate.errors ?? [];
        return `${first?.schemaPath ?? '#'} is not kept`;
      },
    };
  } catch (error) {
    throw new InvalidSchemaError(error instanceof Error ? error.message : String(error));
  } finally {
    ajv.removeSchema(rest); // else it is kept for good
  }
}

const options = { strict: false, validateFormats: false, addUsedSchema: false, logger: false } as const;

/** Made when it is first needed, and once: it has to compile what schemas themselves must be. */
function madeOnce<T>(make: () => T): () => T {
  let made: T | undefined;
  return () => (made ??= make());
}

const draft7 = madeOnce(() => new Ajv(options));
const draft2020 = madeOnce(() => new Ajv2020(options));
