import { type AnswerDocument, type Choice, isObject } from '../answers/document.ts';
import { textOf } from '../answers/labels.ts';

/** Why an answer can't be right whatever its probability is. */
export type Gate = 'Truncated' | 'Refused' | 'Empty';

/** The gate that an answer does not pass; undefined where each of its choices passes all. */
export function gateOf({ choices }: AnswerDocument): Gate | undefined {
  for (const choice of choices) {
    const gate = gateOfChoice(choice);
    if (gate) return gate;
  }
  return undefined;
}

function gateOfChoice(choice: Choice): Gate | undefined {
  const { finish_reason: finish, message } = choice;
  if (finish === 'length') return 'Truncated';
  const refusal = isObject(message) ? message['refusal'] : undefined;
  if (finish === 'content_filter' || (typeof refusal === 'string' && refusal !== '')) return 'Refused';
  const calls = isObject(message) ? message['tool_calls'] : undefined;
  if (Array.isArray(calls) && calls.length > 0) return undefined;
  return (textOf(choice)?.trim() ?? '') === '' ? 'Empty' : undefined;
}
