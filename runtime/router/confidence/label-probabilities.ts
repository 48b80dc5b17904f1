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

/** Labels that what was said so far may still become: `names[low]` up to, not including, `names[high]`. */
export interface Range {
  readonly low: number;
  readonly high: number;
}

/** A share of the probability that belongs to one of several labels, and it is not known to which. */
export interface SharedMass extends Range {
  mass: number;
}

/** What one position tells of the labels. `probabilities` and the masses of `shared` sum to 1, or all are 0. */
export interface PositionScore {
  /** By label. */
  probabilities: Float64Array;
  shared: SharedMass[];
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

/**
 * The probability of each label, from the likeliest tokens at the position where a model says it: the probabilities of
 * the tokens that stand for a label, summed, and renormalised over the labels, p(y) = Σ p(t of y) / Σ p(t of any label).
 * A token stands for the label whose `token` it is; else for the labels whose names begin with it, a space before it left
 * out. A token that begins several names (`card` of `card_arrival` and `card_linking`) is divided evenly among them; where
 * that matters, `scorePosition` tells it apart. A label that no candidate stands for counts with the most that it can
 * have, the least likely candidate's probability, within what the candidates leave of 1: so nothing looks certain
 * because the rest was not looked at. All zero, with `mass` 0, when no candidate stands for any label.
 *
 * `chosen`: the token that was said, which need not be among the likeliest.
 */
export function labelProbabilities(
  candidates: Iterable<Candidate>,
  labels: CompiledLabels,
  chosen?: Candidate,
): { probabilities: Float64Array; mass: number } {
  const { probabilities, shared, mass } = scorePosition(candidates, labels, { chosen });
  spreadShared(probabilities, shared, labels);
  return { probabilities, mass };
}

/** Where in a label a position is. */
export interface PositionContext {
  chosen?: Candidate | undefined;
  /** The labels that come into question; absent: all of them. */
  within?: Range | undefined;
  /** What was said of the label before, without a space at its beginning; absent: nothing. */
  said?: string | undefined;
}

/** As `labelProbabilities`, but what a token leaves open stays apart; and for any position within the labels' names. */
export function scorePosition(
  candidates: Iterable<Candidate>,
  labels: CompiledLabels,
  { chosen, within, said = '' }: PositionContext = {},
): PositionScore {
  const range = within ?? { low: 0, high: labels.names.length };
  const tally = new Tally(labels, within === undefined && said === '', range);
  let least = 1;
  let total = 0;
  let chosenSeen = false;
  for (const { token, logprob } of candidates) {
    const p = probability(logprob);
    tally.add(token, p, said);
    total += p;
    if (p < least) least = p;
    chosenSeen ||= token === chosen?.token;
  }
  if (chosen && !chosenSeen) {
    const p = probability(chosen.logprob);
    tally.add(chosen.token, p, said);
    total += p;
  }
  return tally.finish(least, Math.max(0, 1 - total));
}

/** The labels whose names go on with `token` after `said`; undefined where there is none. */
export function rangeAfter(labels: CompiledLabels, said: string, token: string, within: Range): Range | undefined {
  return rangeOf(labels.names, textAfter(said, token), within);
}

/** What was said after one more token: a space before the first does not count. */
export function textAfter(said: string, token: string): string {
  return said === '' && token.startsWith(' ') ? token.slice(1) : said + token;
}

/** Divides evenly what is known of several labels together. Changes `probabilities`. */
export function spreadShared(
  probabilities: Float64Array,
  shared: readonly SharedMass[],
  { order }: Pick<CompiledLabels, 'order'>,
): void {
  for (const { low, high, mass } of shared) {
    for (let at = low; at < high; at++) add(probabilities, order[at] as number, mass / (high - low));
  }
}

/**
 * Probabilities after temperature scaling, p^(1/T) / Σ p^(1/T), which is softmax(log p / T): Guo et al., On Calibration of
 * Modern Neural Networks, 2017 (https://arxiv.org/abs/1706.04599), section 4.2. The order stays as it is. T = 1 changes
 * nothing; above 1 the answer is less sure. `temperature` must be above 0.
 */
export function withTemperature(probabilities: ArrayLike<number>, temperature: number): Float64Array {
  const scaled = Float64Array.from(probabilities);
  if (temperature === 1) return scaled;
  let most = 0;
  for (const p of scaled) if (p > most) most = p;
  if (most === 0) return scaled;
  let sum = 0;
  for (let i = 0; i < scaled.length; i++) {
    // Relative to the largest, whose power is 1 whatever the temperature: the sum cannot become 0.
    const power = ((scaled[i] as number) / most) ** (1 / temperature);
    scaled[i] = power;
    sum += power;
  }
  for (let i = 0; i < scaled.length; i++) scaled[i] = (scaled[i] as number) / sum;
  return scaled;
}

/** Sums probabilities by group. `groupOf`: the group of each, from 0 to `count` - 1. */
export function sumGroups(probabilities: ArrayLike<number>, groupOf: ArrayLike<number>, count: number): Float64Array {
  const sums = new Float64Array(count);
  for (let i = 0; i < probabilities.length; i++) add(sums, groupOf[i] as number, probabilities[i] as number);
  return sums;
}

/** Index of the largest, the first one of several; -1 where there is none. */
export function indexOfLargest(values: ArrayLike<number>): number {
  let best = -1;
  for (let i = 0; i < values.length; i++) if (best < 0 || (values[i] as number) > (values[best] as number)) best = i;
  return best;
}

/** How engines write the token that ends an answer: llama-server as nothing at all, others by its name. */
const endOfAnswer = /^(?:|<\/s>|<eos>|<end_of_turn>|<\|(?:im_end|endoftext|eot_id|end_of_text|end|return)\|>)$/;

/** Sums up one position. */
class Tally {
  readonly #labels: CompiledLabels;
  readonly #atStart: boolean;
  readonly #range: Range;
  readonly #probabilities: Float64Array;
  readonly #seen: Uint8Array;
  readonly #shared: SharedMass[] = [];
  #mass = 0;

  constructor(labels: CompiledLabels, atStart: boolean, range: Range) {
    this.#labels = labels;
    this.#atStart = atStart;
    this.#range = range;
    this.#probabilities = new Float64Array(labels.count);
    this.#seen = new Uint8Array(labels.count);
  }

  add(token: string, p: number, said: string): void {
    const { byToken, names, order } = this.#labels;
    const exact = this.#atStart ? byToken.get(token) : undefined;
    if (exact !== undefined) {
      this.#addTo(exact, p);
      return;
    }
    if (said !== '' && endOfAnswer.test(token)) {
      // The first name with this beginning is the one that is no longer than it.
      if (names[this.#range.low] === said) this.#addTo(order[this.#range.low] as number, p);
      return;
    }
    const text = textAfter(said, token);
    const range = text.length > said.length ? rangeOf(names, text, this.#range) : undefined;
    if (!range) return;
    if (range.high - range.low === 1) this.#addTo(order[range.low] as number, p);
    else this.#share(range, p);
  }

  finish(least: number, left: number): PositionScore {
    const [probabilities, shared] = [this.#probabilities, this.#shared];
    const mass = Math.min(1, this.#mass);
    if (mass === 0) return { probabilities, shared: [], mass };
    const unseen = this.#unseen();
    const bound = unseen.length === 0 ? 0 : Math.min(least, left / unseen.length);
    for (const index of unseen) probabilities[index] = bound;
    const sum = this.#mass + bound * unseen.length;
    for (let i = 0; i < probabilities.length; i++) probabilities[i] = (probabilities[i] as number) / sum;
    for (const one of shared) one.mass /= sum;
    return { probabilities, shared, mass };
  }

  #addTo(index: number, p: number): void {
    add(this.#probabilities, index, p);
    this.#seen[index] = 1;
    this.#mass += p;
  }

  #share({ low, high }: Range, p: number): void {
    this.#mass += p;
    const same = this.#shared.find((one) => one.low === low && one.high === high);
    if (same) {
      same.mass += p;
      return;
    }
    this.#shared.push({ low, high, mass: p });
    for (let at = low; at < high; at++) this.#seen[this.#labels.order[at] as number] = 1;
  }

  #unseen(): number[] {
    const { byToken, order } = this.#labels;
    const unseen: number[] = [];
    if (this.#atStart) for (const index of byToken.values()) if (this.#seen[index] === 0) unseen.push(index);
    for (let at = this.#range.low; at < this.#range.high; at++) {
      const index = order[at] as number;
      if (this.#seen[index] === 0) unseen.push(index);
    }
    return unseen;
  }
}

/** Those of the sorted names within a range that begin with `text`. */
function rangeOf(names: readonly string[], text: string, { low, high }: Range): Range | undefined {
  const first = lowerBound(names, text, low, high);
  if (first === high || !(names[first] as string).startsWith(text)) return undefined;
  let end = first + 1;
  while (end < high && (names[end] as string).startsWith(text)) end++;
  return { low: first, high: end };
}

function lowerBound(names: readonly string[], text: string, low: number, high: number): number {
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
