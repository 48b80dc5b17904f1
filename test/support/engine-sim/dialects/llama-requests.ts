import { renderChat } from '../core/ask.ts';
import { type Constraint, ConstraintError, constraintOfFormat, labelsOfGrammar, valueFor } from '../core/constraint.ts';
import { asText } from '../core/text.ts';

export function chatPrompts({ messages, tools, grammar }: Record<string, unknown>): string[] | string {
  if (messages === undefined) return "'messages' is required";
  if (!Array.isArray(messages)) return "Expected 'messages' to be an array";
  if (tools !== undefined && grammar !== undefined) return 'Cannot use custom grammar constraints with tools.';
  return [renderChat(messages)];
}

export function completionPrompts({ prompt }: Record<string, unknown>): string[] | string {
  if (prompt === undefined) return "[json.exception.out_of_range.403] key 'prompt' not found";
  return Array.isArray(prompt) && prompt.every((one) => typeof one === 'string') ? prompt : [asText(prompt)];
}

/** The texts whose tokens a bias makes likelier than all others. */
export function raisedBy({ logit_bias: bias }: Record<string, unknown>): Constraint | undefined {
  if (!Array.isArray(bias)) return undefined;
  const raised = bias.flatMap((entry: unknown) => {
    const [text, by] = Array.isArray(entry) ? (entry as unknown[]) : [];
    return typeof text === 'string' && typeof by === 'number' && by >= 50 ? [text] : [];
  });
  return raised.length > 0 ? { kind: 'Labels', labels: raised } : undefined;
}

/** A schema wins over a grammar, silently. */
export function constraintOf(body: Record<string, unknown>): Constraint | undefined {
  const { grammar, response_format: format, json_schema: schema } = body;
  const json = constraintOfFormat(format) ?? (schema === undefined ? undefined : { kind: 'Json' as const, schema });
  if (json?.kind === 'Json') {
    try {
      valueFor(json.schema, '', (labels) => labels[0] ?? '');
    } catch (error) {
      if (error instanceof ConstraintError) throw new ConstraintError(`JSON schema error at #: ${error.message}`);
      throw error;
    }
  }
  if (json || typeof grammar !== 'string' || grammar === '') return json;
  try {
    return { kind: 'Labels', labels: labelsOfGrammar(grammar) };
  } catch (error) {
    if (error instanceof ConstraintError) throw new ConstraintError(`Failed to initialize samplers: ${error.message}`);
    throw error;
  }
}
