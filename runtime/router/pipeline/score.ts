import type { AnswerDocument, Choice } from '../answers/document.ts';
import { textOf } from '../answers/labels.ts';
import { type Gate, stoppedAt, toolCallsOf } from '../confidence/gates.ts';
import { jsonFieldConfidences, type SpokenToken } from '../confidence/json-fields.ts';
import type { OutputSchema } from '../confidence/output-schema.ts';
import { spokenTokens, tokensOf } from '../confidence/spoken-tokens.ts';
import { textConfidence } from '../confidence/text-confidence.ts';
import type { RequestBody } from '../operations.ts';

/** How sure an answer is, in [0, 1]. Unknown is not certain. */
export type Confidence = number | 'Unknown';

/** What is known of an answer before anybody has seen it. */
export interface Score {
  /** Undefined: it passes every gate. */
  gate: Gate | undefined;
  /** What of the schema is not kept. */
  why?: string | undefined;
  /** Undefined: nobody asked. */
  confidence: Confidence | undefined;
}

/** What an answer is judged by. */
export interface Judging {
  body: RequestBody;
  schema: OutputSchema | undefined;
  /** Its confidence is wanted. */
  scored: boolean;
}

/** Scores a whole answer: by its gates, and by the least sure of its choices. */
export function scoreOf({ choices }: AnswerDocument, judging: Judging): Score {
  for (const choice of choices) {
    const stopped = stoppedAt(choice, judging.body, judging.schema);
    if (stopped) return { ...stopped, confidence: judging.scored ? 'Unknown' : undefined };
  }
  if (!judging.scored) return { gate: undefined, confidence: undefined };
  const confidences = choices.map((choice) => confidenceIn(choice, judging.schema));
  return { gate: undefined, confidence: confidences.reduce(lesser, 1) };
}

function lesser(a: Confidence, b: Confidence): Confidence {
  return a === 'Unknown' || b === 'Unknown' ? 'Unknown' : Math.min(a, b);
}

function confidenceIn(choice: Choice, schema: OutputSchema | undefined): Confidence {
  const spoken = spokenTokens(choice);
  if (!spoken) return 'Unknown';
  // The tokens of a call are not told apart from those around it, so the least likely one of all counts.
  if (toolCallsOf(choice).length > 0) return leastOf(spoken);
  const tokens = tokensOf(textOf(choice) ?? '', spoken);
  if (!tokens) return 'Unknown';
  return schema ? leastField(jsonFieldConfidences(tokens).fields, schema.required) : confidenceOf(tokens);
}

/** The least confidence of the fields that a document must have; of all that it has where it must have none. */
export function leastField(fields: ReadonlyMap<string, number | undefined>, required: readonly string[]): Confidence {
  const names = required.length > 0 ? required : [...fields.keys()];
  return names.length === 0 ? 'Unknown' : names.map((name) => fields.get(name) ?? 'Unknown').reduce(lesser, 1);
}

/** Confidence in a text by its tokens, of which the one that only ends it is none. */
export function confidenceOf(tokens: readonly SpokenToken[]): Confidence {
  const logprobs: number[] = [];
  for (const { token, logprob } of tokens) {
    if (token === '') continue;
    if (logprob === undefined) return 'Unknown';
    logprobs.push(logprob);
  }
  return textConfidence(logprobs) ?? 'Unknown';
}

/** The probability of the least likely token. */
function leastOf(tokens: readonly SpokenToken[]): Confidence {
  let least = 0;
  for (const { logprob } of tokens) {
    if (logprob === undefined) return 'Unknown';
    least = Math.min(least, logprob);
  }
  return tokens.length === 0 ? 'Unknown' : Math.exp(least);
}
