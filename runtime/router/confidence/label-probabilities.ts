/** A token that a model might have said at one position, with the natural logarithm of its probability. */
export interface Candidate {
  token: string;
  logprob: number;
}

/** A label, and how a model says it. */
export interface SpokenLabel {
  name: string;
  /** The one token that stands for it, exactly; absent: the tokens that its name begins with. */
  token?: string | undefined;
}

/** Labels, prepared for scoring. The index of a label is its place in the list that it was made from. */
export interface CompiledLabels {
  readonly count: number;
  /** Labels that are one token. */
  readonly byToken: ReadonlyMap<string, number>;
  /** Names of the other labels in code unit order: those with one beginning stand together. */
  readonly names: readonly string[];
  /** Index of each of `names`. */
  readonly order: Int32Array;
}

/** A share of the probability that belongs to one of several labels, and it is not known to which. */
export interface SharedMass {
  /** Indexes of the labels, ascending by name. */
  labels: readonly number[];
  mass: number;
}

/** What one position tells of the labels. `probabilities` and the masses of `shared` sum to 1, or all are 0. */
export interface PositionScore {
  /** By label. */
  probabilities: Float64Array;
  /** By label: 1 where a token stood for it, 0 where its probability is no more than a bound. */
  seen: Uint8Array;
  shared: SharedMass[];
  /** That of `shared` to which the token belongs that was said. */
  chosen: SharedMass | undefined;
  /** The model's own probability for anything that stands for a label, in [0, 1]; 0: nothing of the kind was seen. */
  mass: number;
}

/** Prepares labels for scoring. Names and tokens must each be unique. */
export function compileLabels(labels: readonly SpokenLabel[]): CompiledLabels {
  const byToken = new Map<string, number>();
  const named: { name: string; index: number }[] = [];
  for (const [index, { name, token }] of labels.entries()) {
    if (token === undefined) named.push({ name, index });
    else byToken.set(token, index);
  }
  named.sort((a, b) => (a.name < b.name ? -1 : 1));
  const order = Int32Array.from(named, ({ index }) => index);
  return { count: labels.length, byToken, names: named.map(({ name }) => name), order };
}

/** Where in a label a position is. */
export interface PositionContext {
  /** The token that was said, which need not be among the likeliest. */
  chosen?: Candidate | undefined;
  /** Indexes of the labels that come into question, all without `token`; absent: all labels. */
  within?: readonly number[] | undefined;
  /** What was said of the label before, without a space at its beginning; absent: nothing. */
  said?: string | undefined;
}

/**
 * The probability of each label, from the likeliest tokens at a position where a model says it: the probabilities of the
 * tokens that stand for a label, summed, and renormalised over the labels, p(y) = Σ p(t of y) / Σ p(t of any label).
 *
 * A token stands for the label whose `token` it is; else for the labels whose names go on with it, at the beginning a space
 * before it left out. Where a token is a whole name, shorter ones do not count for it, with that space or without: what a
 * model means by `d` is any word with d, and by `deposit` the label. What a token leaves open (`card` of `card_arrival` and
 * `card_linking`) is `shared`; `spreadShared` divides it where nothing more is known.
 *
 * A label that no candidate stands for counts with the most that it can have, the least likely candidate's probability,
 * within what the candidates leave of 1: so nothing looks certain because the rest was not looked at. All zero, with
 * `mass` 0, when no candidate stands for any label.
 */
export function scorePosition(
  candidates: Iterable<Candidate>,
  labels: CompiledLabels,
  { chosen, within, said = '' }: PositionContext = {},
): PositionScore {
  const tally = new Tally(labels, said, within);
  let least = 1;
  let total = 0;
  let chosenSeen = false;
  for (const { token, logprob } of candidates) {
    const p = probability(logprob);
    const isChosen = token === chosen?.token;
    tally.add(token, p, isChosen);
    total += p;
    if (p < least) least = p;
    chosenSeen ||= isChosen;
  }
  if (chosen && !chosenSeen) {
    const p = probability(chosen.logprob);
    tally.add(chosen.token, p, true);
    total += p;
  }
  return tally.finish(least, Math.max(0, 1 - total));
}

/** What was said after one more token: a space before the first does not count. */
export function textAfter(said: string, token: string): string {
  return said === '' && token.startsWith(' ') ? token.slice(1) : said + token;
}

/** Divides evenly what is known of several labels together. Changes `probabilities`. */
export function spreadShared(probabilities: Float64Array, shared: readonly SharedMass[]): void {
  for (const { labels, mass } of shared) for (const index of labels) add(probabilities, index, mass / labels.length);
}

/** How engines write the token that ends an answer: llama-server as nothing at all, others by its name. */
const endOfAnswer = /^(?:|<\/s>|<eos>|<end_of_turn>|<\|(?:im_end|endoftext|eot_id|end_of_text|end|return)\|>)$/;

/** A token that begins names: those at `low` up to, not including, `high`. */
interface Beginning {
  low: number;
  high: number;
  length: number;
  /** With a space before it: a spelling of its own. */
  spaced: boolean;
  p: number;
  chosen: boolean;
}

/** Sums up one position. */
class Tally {
  readonly #labels: CompiledLabels;
  readonly #said: string;
  /** By label: 1 where it comes into question; undefined: all do. */
  readonly #mask: Uint8Array | undefined;
  readonly #probabilities: Float64Array;
  readonly #seen: Uint8Array;
  readonly #beginnings: Beginning[] = [];
  /** By place in `names`: 1 where a token was the whole name, without a space and with one. */
  readonly #whole: [Uint8Array, Uint8Array];
  #mass = 0;

  constructor(labels: CompiledLabels, said: string, within: readonly number[] | undefined) {
    this.#labels = labels;
    this.#said = said;
    this.#probabilities = new Float64Array(labels.count);
    this.#seen = new Uint8Array(labels.count);
    this.#whole = [new Uint8Array(labels.names.length), new Uint8Array(labels.names.length)];
    if (!within) return;
    this.#mask = new Uint8Array(labels.count);
    for (const index of within) this.#mask[index] = 1;
  }

  add(token: string, p: number, chosen: boolean): void {
    const { byToken, names, order } = this.#labels;
    const said = this.#said;
    const exact = said === '' ? byToken.get(token) : undefined;
    if (exact !== undefined) {
      if (this.#mask?.[exact] !== 0) this.#addTo(exact, p);
      return;
    }
    if (said !== '' && endOfAnswer.test(token)) {
      const at = lowerBound(names, said);
      if (names[at] === said && this.#mask?.[order[at] as number] !== 0) this.#addTo(order[at] as number, p);
      return;
    }
    const text = textAfter(said, token);
    if (text.length === said.length) return;
    const low = lowerBound(names, text);
    let high = low;
    while (high < names.length && (names[high] as string).startsWith(text)) high++;
    const spaced = said === '' && token.startsWith(' ');
    if (names[low] === text) this.#whole[spaced ? 1 : 0][low] = 1;
    if (high > low) this.#beginnings.push({ low, high, length: text.length, spaced, p, chosen });
  }

  finish(least: number, left: number): PositionScore {
    const [probabilities, seen] = [this.#probabilities, this.#seen];
    const { shared, chosen } = this.#countBeginnings();
    const mass = Math.min(1, this.#mass);
    if (mass === 0) return { probabilities, seen, shared: [], chosen: undefined, mass };
    for (const { labels } of shared) for (const index of labels) seen[index] = 1;
    let unseen = 0;
    for (let i = 0; i < seen.length; i++) if (seen[i] === 0 && this.#mask?.[i] !== 0) unseen++;
    const bound = unseen === 0 ? 0 : Math.min(least, left / unseen);
    const sum = this.#mass + bound * unseen;
    for (let i = 0; i < seen.length; i++) {
      if (seen[i] === 1) probabilities[i] = (probabilities[i] as number) / sum;
      else if (this.#mask?.[i] !== 0) probabilities[i] = bound / sum;
    }
    for (const one of shared) one.mass /= sum;
    return { probabilities, seen, shared, chosen, mass };
  }

  #countBeginnings(): { shared: SharedMass[]; chosen: SharedMass | undefined } {
    const { names, order } = this.#labels;
    const shared: SharedMass[] = [];
    let said: SharedMass | undefined;
    for (const { low, high, length, spaced, p, chosen } of this.#beginnings) {
      const whole = this.#whole[spaced ? 1 : 0];
      const labels: number[] = [];
      for (let at = low; at < high; at++) {
        const index = order[at] as number;
        if ((whole[at] === 0 || (names[at] as string).length === length) && this.#mask?.[index] !== 0)
          labels.push(index);
      }
      if (labels.length === 1) this.#addTo(labels[0] as number, p);
      if (labels.length < 2) continue;
      this.#mass += p;
      let own = shared.find((one) => isSame(one.labels, labels));
      if (own) own.mass += p;
      else shared.push((own = { labels, mass: p }));
      if (chosen) said = own;
    }
    return { shared, chosen: said };
  }

  #addTo(index: number, p: number): void {
    add(this.#probabilities, index, p);
    this.#seen[index] = 1;
    this.#mass += p;
  }
}

function isSame(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((value, at) => value === b[at]);
}

/** Place of the first of the sorted names that is not before `text`. */
function lowerBound(names: readonly string[], text: string): number {
  let [low, high] = [0, names.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((names[middle] as string) < text) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Engines write -9999 or null for what cannot be. */
function probability(logprob: number): number {
  const p = Math.exp(logprob);
  return p > 0 ? Math.min(1, p) : 0;
}

function add(values: Float64Array, index: number, value: number): void {
  values[index] = (values[index] as number) + value;
}
