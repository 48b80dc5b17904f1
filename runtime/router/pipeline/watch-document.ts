import { type AnswerDocument, isObject } from '../answers/document.ts';
import { JsonFieldReader } from '../confidence/json-fields.ts';
import type { OutputSchema } from '../confidence/output-schema.ts';
import { spokenTokens } from '../confidence/spoken-tokens.ts';
import { distrusted, type Failure } from '../providers/failure.ts';
import type { Judgement } from './exchange.ts';

/**
 * Watches documents being written, and calls them off at the first value that is less likely than the threshold: the least
 * confidence of their fields can only fall, so nothing is lost that would have been taken.
 */
export function watchDocument(
  backend: string,
  { threshold, mayLeave }: Judgement,
  { required }: OutputSchema,
): ((piece: AnswerDocument) => Failure | undefined) | undefined {
  if (threshold === undefined) return undefined;
  const readers = new Map<number, JsonFieldReader>();
  return ({ choices }) => {
    for (const choice of choices) {
      // Models that think say tokens that are none of the text.
      const text = isObject(choice['delta']) ? choice['delta']['content'] : choice['text'];
      if (typeof text !== 'string' || text === '') continue;
      let reader = readers.get(choice.index);
      if (!reader) readers.set(choice.index, (reader = new JsonFieldReader()));
      for (const token of spokenTokens(choice) ?? []) reader.push(token);
      if (isAnyBelow(threshold, reader.fields, required) && mayLeave()) return distrusted(backend);
    }
    return undefined;
  };
}

function isAnyBelow(
  threshold: number,
  fields: ReadonlyMap<string, number | undefined>,
  required: readonly string[],
): boolean {
  for (const [name, confidence] of fields) {
    const counts = required.length === 0 || required.includes(name);
    if (counts && confidence !== undefined && confidence < threshold) return true;
  }
  return false;
}
