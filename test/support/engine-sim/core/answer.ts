import { belief } from './belief.ts';
import { type Constraint, valueFor } from './constraint.ts';
import type { Settings } from './settings.ts';
import { chance, hash, tokenize } from './text.ts';

/** What a request asks of the model, whatever the API. */
export interface Ask {
  prompt: string;
  /** Most tokens of the answer. */
  maxTokens: number;
  temperature: number;
  seed: number;
  ignoreEos: boolean;
  stop: string[];
  constraint?: Constraint | undefined;
}

/** One token of an answer, with what the model thought of it and of others. */
export interface Token {
  /** Empty: the end of the answer, where it might have gone on. */
  text: string;
  /** Natural logarithm of its probability before any constraint. */
  logprob: number;
  /** The likeliest tokens in that position, the chosen one not always among them, likeliest first. */
  alternatives: { text: string; logprob: number; allowed: boolean }[];
}

export interface Answer {
  tokens: Token[];
  finish: 'stop' | 'length';
}

const words =
  'the order was sent and will arrive soon please let us know if you need more help with this account or any other card payment we can look into it for you today thank you'.split(
    ' ',
  );
/** How much of the probability a constrained model leaves to what it may say. */
const allowedMass = 0.6;

/** The answer to a question: the same for the same question, temperature 0 or not, unless the seed differs. */
export function answer(ask: Ask, settings: Settings): Answer {
  const seed = hash(String(ask.temperature === 0 ? 0 : ask.seed), settings.seed);
  const tokens = ask.constraint ? constrained(ask, ask.constraint, seed) : free(ask, seed, settings.answerTokens);
  const kept = cutAtStop(tokens, ask.stop);
  return kept.length > ask.maxTokens
    ? { tokens: kept.slice(0, ask.maxTokens), finish: 'length' }
    : { tokens: kept, finish: ask.ignoreEos && !ask.constraint ? 'length' : 'stop' };
}

function free(ask: Ask, seed: number, typical: number): Token[] {
  const length = ask.ignoreEos ? ask.maxTokens : Math.max(1, Math.round(typical * (0.5 + chance(ask.prompt, seed))));
  const tokens: Token[] = [];
  for (let at = 0; at < Math.min(length, ask.maxTokens + 1); at++) {
    const pick = (rank: number): string => {
      const word = words[hash(`${ask.prompt}|${at}|${rank}`, seed) % words.length] as string;
      return at === 0 ? (word[0] as string).toUpperCase() + word.slice(1, 5) : ` ${word.slice(0, 5)}`;
    };
    const probability = 0.3 + 0.65 * chance(`${ask.prompt}|${at}`, seed);
    tokens.push({ text: pick(0), logprob: Math.log(probability), alternatives: ranked(pick, probability) });
  }
  return tokens;
}

function ranked(pick: (rank: number) => string, first: number): Token['alternatives'] {
  const seen = new Set<string>();
  const found: Token['alternatives'] = [];
  for (let rank = 0; found.length < 40 && rank < 400; rank++) {
    const text = rank < 40 ? pick(rank) : `${pick(rank)}${rank}`;
    if (seen.has(text)) continue;
    seen.add(text);
    const probability = found.length === 0 ? first : (1 - first) * 0.5 ** found.length;
    found.push({ text, logprob: Math.log(probability), allowed: true });
  }
  return found;
}

function constrained(ask: Ask, constraint: Constraint, seed: number): Token[] {
  if (constraint.kind === 'Labels') return labelTokens(ask.prompt, constraint.labels, seed);
  const choose = (labels: string[]): string => likeliest(labels, belief(ask.prompt, labels, seed));
  const text = JSON.stringify(valueFor(constraint.schema, ask.prompt, choose));
  return tokenize(text).map((piece) => sure(piece));
}

function likeliest(labels: string[], likely: number[]): string {
  return labels[likely.indexOf(Math.max(...likely))] as string;
}

/**
 * A label as greedy decoding says it: at each token the likeliest of those with which labels go on. So it need not be the
 * likeliest label, as with real models.
 */
function labelTokens(prompt: string, labels: string[], seed: number): Token[] {
  const likely = belief(prompt, labels, seed);
  let left = labels.map((label, at) => ({ pieces: tokenize(label), p: likely[at] ?? 0 }));
  const tokens: Token[] = [];
  for (let at = 0; ; at++) {
    const next = new Map<string, number>();
    for (const { pieces, p } of left) next.set(pieces[at] ?? '', (next.get(pieces[at] ?? '') ?? 0) + p);
    const text = likeliest([...next.keys()], [...next.values()]);
    // Once no other label is left, its end is certain, and not told.
    if (text === '' && next.size === 1) return tokens;
    tokens.push(next.size === 1 ? sure(text) : chosenOf(text, next));
    left = left.filter(({ pieces }) => (pieces[at] ?? '') === text);
    if (text === '') return tokens;
  }
}

/** A position at which labels part: a model leaves them `allowedMass`, and others the rest. */
function chosenOf(text: string, next: Map<string, number>): Token {
  const total = [...next.values()].reduce((sum, p) => sum + p, 0);
  const allowed = [...next].map(([one, p]) => ({
    text: one,
    logprob: Math.log((p / total) * allowedMass),
    allowed: true,
  }));
  const others = Array.from({ length: 40 }, (_, rank) => ({
    text: ` ${(words[rank % words.length] as string).slice(0, 5)}${rank < words.length ? '' : rank}`,
    logprob: Math.log((1 - allowedMass) * 0.5 ** (rank + 1)),
    allowed: false,
  })).filter((other) => !next.has(other.text));
  const alternatives = [...allowed, ...others].toSorted((a, b) => b.logprob - a.logprob);
  return { text, logprob: alternatives.find((one) => one.text === text)?.logprob ?? 0, alternatives };
}

function sure(text: string): Token {
  const logprob = Math.log(0.98);
  const others = words.slice(0, 20).map((word, rank) => ({ text: ` ${word.slice(0, 5)}`, rank }));
  return {
    text,
    logprob,
    alternatives: [
      { text, logprob, allowed: true },
      ...others
        .filter((other) => other.text !== text)
        .map((other) => ({ text: other.text, logprob: Math.log(0.02 * 0.5 ** (other.rank + 1)), allowed: false })),
    ],
  };
}

function cutAtStop(tokens: Token[], stop: string[]): Token[] {
  if (stop.length === 0) return tokens;
  let text = '';
  for (const [at, token] of tokens.entries()) {
    text += token.text;
    if (stop.some((word) => word !== '' && text.includes(word))) return tokens.slice(0, at);
  }
  return tokens;
}
