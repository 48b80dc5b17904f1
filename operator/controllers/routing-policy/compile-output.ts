import type { Route } from '../../../crds/route-table.ts';
import type { RoutingPolicy } from '../../../crds/v1alpha1/kinds.ts';
import { compileSchema, InvalidSchemaError, maxSchemaBytes } from '../../../quality/json-schema.ts';
import type { Problem } from './reasons.ts';

type Spec = RoutingPolicy['spec'];

/** What is wrong with a policy's schema of answers, which no rule of the API can tell. */
export function outputProblems({ output }: Spec): Problem[] {
  const schema = output?.jsonSchema;
  if (!schema) return [];
  const field = 'spec.output.jsonSchema';
  const refused = (what: string): Problem[] => [{ reason: 'InvalidSpec', message: `${field}: ${what}` }];
  const bytes = Buffer.byteLength(JSON.stringify(schema));
  if (bytes > maxSchemaBytes)
    return refused(`has ${bytes} bytes and may have ${maxSchemaBytes}; leave descriptions out`);
  try {
    compileSchema(schema);
    return [];
  } catch (error) {
    if (!(error instanceof InvalidSchemaError)) throw error;
    return refused(`is no JSON Schema: ${error.message}`);
  }
}

/** What answers look like, as the router reads it. */
export function compileOutput(output: Spec['output']): Route['output'] {
  const { labels, groups, temperature, jsonSchema } = output ?? {};
  if (jsonSchema) return { jsonSchema };
  if (!labels) return {};
  const tokens = labels.flatMap(({ name, token }) => (token === undefined ? [] : { label: name, token }));
  return {
    labels: labels.map(({ name }) => name),
    ...(tokens.length > 0 && { tokens }),
    ...(groups && { groups: groups.map(({ name, labels: own }) => ({ name, labels: own })) }),
    ...(temperature !== undefined && { temperature: Number(temperature) }),
  };
}
