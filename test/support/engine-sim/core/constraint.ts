import { chance } from './text.ts';

/** A request for constrained output that the engine would refuse; the dialect words the answer. */
export class ConstraintError extends Error {
  override readonly name = 'ConstraintError';
}

/** What an answer is held to. */
export type Constraint = { kind: 'Labels'; labels: string[] } | { kind: 'Json'; schema: unknown };

/**
 * The alternatives of a GBNF grammar whose root is a choice of literals, of which a last group may begin with a space:
 * all that a label set needs. Other grammars are beyond this simulator, and it says so rather than to answer something
 * unconstrained.
 */
export function labelsOfGrammar(grammar: string): string[] {
  const rule = /^\s*root\s*::=\s*(.*?)\s*$/s.exec(grammar)?.[1];
  if (rule === undefined) throw new ConstraintError('failed to parse grammar');
  const spaced = /^((?:"(?:[^"\\]|\\.)*" \| )*)" "\? \((.*)\)$/s.exec(rule);
  if (spaced) {
    const exact = (spaced[1] ?? '').replace(/ \| $/, '');
    const names = choiceOf(spaced[2] ?? '');
    return [...(exact === '' ? [] : choiceOf(exact)), ...names, ...names.map((name) => ` ${name}`)];
  }
  return choiceOf(/^\((.*)\)$/s.exec(rule)?.[1] ?? rule);
}

function choiceOf(inner: string): string[] {
  const literal = /"((?:[^"\\]|\\.)*)"/gy;
  const labels: string[] = [];
  for (let at = 0; ; ) {
    literal.lastIndex = at;
    const found = literal.exec(inner);
    if (!found) throw new ConstraintError('failed to parse grammar');
    labels.push(unescape(found[1] ?? ''));
    const rest = inner.slice(literal.lastIndex);
    if (rest.trim() === '') return labels;
    const bar = /^\s*\|\s*/.exec(rest);
    if (!bar) throw new ConstraintError('failed to parse grammar');
    at = literal.lastIndex + bar[0].length;
  }
}

function unescape(text: string): string {
  const named: Record<string, string> = { n: '\n', t: '\t', r: '\r' };
  return text.replaceAll(/\\(x[0-9a-fA-F]{2}|.)/gs, (_all, code: string) =>
    code.length === 3 ? String.fromCharCode(Number.parseInt(code.slice(1), 16)) : (named[code] ?? code),
  );
}

/** `response_format` of a chat; undefined for plain text. */
export function constraintOfFormat(format: unknown): Constraint | undefined {
  const { type, json_schema: named, schema } = (format ?? {}) as Record<string, unknown>;
  if (type === 'json_schema') return { kind: 'Json', schema: (named as { schema?: unknown } | undefined)?.schema };
  if (type === 'json_object')
    return { kind: 'Json', schema: schema ?? { type: 'object', properties: { answer: { type: 'string' } } } };
  return undefined;
}

/** A value that a schema allows; enums are left to `choose`, all else depends on the prompt alone. */
export function valueFor(schema: unknown, prompt: string, choose: (labels: string[]) => string, path = '#'): unknown {
  const { type, enum: allowed, const: fixed, properties, items, minItems } = (schema ?? {}) as Record<string, unknown>;
  if (fixed !== undefined) return fixed;
  if (Array.isArray(allowed)) {
    const chosen = choose(allowed.map(String));
    return allowed.find((value) => String(value) === chosen);
  }
  const draw = chance(`${prompt}${path}`);
  if (type === 'object' || (type === undefined && properties !== undefined)) {
    const members = Object.entries((properties ?? {}) as Record<string, unknown>);
    return Object.fromEntries(
      members.map(([name, member]) => [name, valueFor(member, prompt, choose, `${path}/${name}`)]),
    );
  }
  if (type === 'array')
    return Array.from({ length: Number(minItems ?? 1) }, () => valueFor(items, prompt, choose, `${path}/0`));
  if (type === 'string' || type === undefined) return 'text';
  if (type === 'integer') return Math.floor(draw * 100);
  if (type === 'number') return Math.round(draw * 1000) / 10;
  if (type === 'boolean') return draw < 0.5;
  if (type === 'null') return null;
  throw new ConstraintError(`unrecognized type ${JSON.stringify(type)}`.replaceAll('"', ''));
}
