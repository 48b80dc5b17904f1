import type { RequestBody } from '../operations.ts';
import { type AnswerDocument, isObject } from './document.ts';

/** The only answers that a policy allows. */
export interface LabelSet {
  names: ReadonlySet<string>;
  /** Length of the longest, in bytes. */
  maxBytes: number;
}

export function labelSet(labels: readonly string[]): LabelSet {
  return { names: new Set(labels), maxBytes: Math.max(...labels.map((label) => Buffer.byteLength(label))) };
}

/** Fields that ask for another form of answer than a label. */
const otherForms = [
  'tools',
  'functions',
  'response_format',
  'grammar',
  'json_schema',
  'structured_outputs',
  'guided_json',
  'guided_regex',
  'guided_choice',
  'guided_grammar',
  'echo',
];

/** The field of a request that can't be had together with a label, if there is one. */
export function conflictWithLabels(body: RequestBody): string | undefined {
  return otherForms.find((field) => {
    const value = body[field];
    if (value === undefined || value === null || value === false) return false;
    if (Array.isArray(value)) return value.length > 0;
    return !(field === 'response_format' && typeof value === 'object' && 'type' in value && value.type === 'text');
  });
}

/**
 * The hard gate: makes the text of every choice exactly a label (white space around it is the model's, not the label's);
 * false where one is none.
 */
export function holdToLabels(document: AnswerDocument, labels: LabelSet): boolean {
  for (const choice of document.choices) {
    const holder = isObject(choice['message']) ? choice['message'] : choice;
    const field = holder === choice ? 'text' : 'content';
    const text = holder[field];
    if (typeof text !== 'string') return false;
    const label = text.trim();
    if (!labels.names.has(label)) return false;
    holder[field] = label;
  }
  return true;
}
