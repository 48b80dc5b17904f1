import { type AnswerDocument, isObject } from '../answers/document.ts';
import { type Gate, gateOf } from '../confidence/gates.ts';
import { readPositions } from '../confidence/positions.ts';
import { textConfidence } from '../confidence/text-confidence.ts';

/** What is known of an answer before anybody has seen it. */
export interface Score {
  /** Undefined: it passes every gate. */
  gate: Gate | undefined;
  /** In [0, 1]. */
  confidence: number | 'Unknown';
}

/** Scores an answer of free text: by its gates, and by the least sure of its choices. */
export function scoreOf(document: AnswerDocument): Score {
  let confidence: number | 'Unknown' = 1;
  for (const choice of document.choices) {
    const positions = isObject(choice.logprobs) ? readPositions(choice) : undefined;
    const one = positions && textConfidence(positions.map(({ chosen }) => chosen.logprob));
    if (one === undefined) confidence = 'Unknown';
    else if (confidence !== 'Unknown') confidence = Math.min(confidence, one);
  }
  return { gate: gateOf(document), confidence };
}
