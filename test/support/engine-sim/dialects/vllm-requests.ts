import { renderChat } from '../core/ask.ts';
import { type Constraint, ConstraintError, constraintOfFormat, labelsOfGrammar, valueFor } from '../core/constraint.ts';
import { tokenize } from '../core/text.ts';

const maxLogprobs = 20;

export function chatPrompts({ messages }: Record<string, unknown>): string[] | undefined {
  return Array.isArray(messages) ? [renderChat(messages)] : undefined;
}

export function completionPrompts({ prompt }: Record<string, unknown>): string[] | undefined {
  if (typeof prompt === 'string') return [prompt];
  return Array.isArray(prompt) && prompt.every((one) => typeof one === 'string') ? prompt : undefined;
}

/** `guided_choice` of older versions is ignored without a word. */
export function constraintOf(body: Record<string, unknown>): Constraint | undefined {
  const structured = (body['structured_outputs'] ?? {}) as Record<string, unknown>;
  const { choice, grammar, json, regex } = structured;
  if (Array.isArray(choice)) return { kind: 'Labels', labels: choice.map(String) };
  if (typeof grammar === 'string') return { kind: 'Labels', labels: labelsOfGrammar(grammar) };
  if (regex !== undefined) throw new ConstraintError('the simulator knows no regular expressions');
  const constraint: Constraint | undefined =
    json === undefined ? constraintOfFormat(body['response_format']) : { kind: 'Json', schema: json };
  if (constraint?.kind !== 'Json') return constraint;
  try {
    valueFor(constraint.schema, '', (labels) => labels[0] ?? '');
  } catch (error) {
    if (error instanceof ConstraintError)
      throw new ConstraintError(error.message.replace('unrecognized type', 'Invalid type:'));
    throw error;
  }
  return constraint;
}

/** Why vLLM refuses a well-formed request, undefined when it does not. */
export function problemOf(
  body: Record<string, unknown>,
  { temperature, n }: { temperature: number; n: number },
  prompts: string[],
  limit: unknown,
  logprobs: number | undefined,
  { context, tools }: { context: number; tools: boolean },
): { message: string; param?: string } | undefined {
  const longest = Math.max(...prompts.map((prompt) => tokenize(prompt).length));
  if (longest >= context) {
    const characters = Math.max(...prompts.map((prompt) => prompt.length));
    return {
      message: `This model's maximum context length is ${context} tokens. However, your prompt contains ${characters} characters.`,
      param: 'input_text',
    };
  }
  if (typeof limit === 'number' && longest + limit > context)
    return {
      message: `max_tokens is too large: ${limit}. This model's maximum context length is ${context} tokens.`,
      param: 'max_tokens',
    };
  if (temperature < 0)
    return { message: `temperature must be non-negative, got ${temperature}.`, param: 'temperature' };
  if (n > 1 && temperature === 0) return { message: 'n must be 1 when using greedy sampling.', param: 'n' };
  if ((logprobs ?? 0) > maxLogprobs)
    return {
      message: `Requested sample logprobs of ${logprobs}, which is greater than max allowed: ${maxLogprobs}`,
      param: 'logprobs',
    };
  if (body['tools'] !== undefined && body['tool_choice'] !== 'none' && !tools)
    return { message: '"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set' };
  return undefined;
}
