import { performance } from 'node:perf_hooks';
import { Assembler } from '../answers/assemble.ts';
import { type AnswerDocument, type Choice, isObject } from '../answers/document.ts';
import { withLogprobs } from '../answers/labels.ts';
import type { StreamGate } from '../answers/relayed.ts';
import { spokenTokens } from '../confidence/spoken-tokens.ts';
import { textConfidence } from '../confidence/text-confidence.ts';
import { distrusted, type Failure } from '../providers/failure.ts';
import type { Judgement } from './exchange.ts';
import type { Confidence } from './score.ts';

/** So many tokens of a text are judged before it goes out; fewer where so many ms have passed since the first. */
const prefixTokens = 32;
const prefixMs = 2_000;

export interface PrefixOptions {
  backend: string;
  judgement: Judgement;
  /** Absent: the answer goes out as it comes, and is only scored. */
  holds: boolean;
  /** Log-probabilities were asked for. */
  scored: boolean;
  /** How many of the likeliest tokens the client wants to see at each position; undefined: none, nor the position. */
  wanted: number | undefined;
  /** The beginning is trusted, or nobody else may be asked: it goes out now. */
  onPass: (confidence: Confidence | undefined) => void;
}

/**
 * Holds the beginning of a streamed text until it is judged. Once it has passed, the stream goes out and nobody else is
 * asked any more. Calls of tools and refusals can only be judged whole, and are held to their end.
 */
export class PrefixGate implements StreamGate {
  readonly #options: PrefixOptions;
  readonly #logprobs: number[] = [];
  readonly #assembler = new Assembler();
  #isUnknown = false;
  #tokens = 0;
  #firstAt = 0;
  #isToEnd = false;
  #isOpen = false;

  constructor(options: PrefixOptions) {
    this.#options = options;
  }

  /** Confidence in the text so far; undefined: nobody asked. */
  get confidence(): Confidence | undefined {
    if (this.#options.judgement.threshold === undefined) return undefined;
    return this.#isUnknown ? 'Unknown' : (textConfidence(this.#logprobs) ?? 'Unknown');
  }

  /** What has come, as one answer; only while nothing has gone out. */
  whole(): AnswerDocument | undefined {
    return this.#assembler.finish();
  }

  read(piece: AnswerDocument): 'Hold' | 'Pass' | Failure {
    const { scored, wanted } = this.#options;
    for (const choice of piece.choices) this.#count(choice);
    if (!this.#isOpen && this.#options.holds) this.#assembler.add({ ...piece });
    if (scored) piece.choices = piece.choices.map((choice) => withLogprobs(choice, wanted));
    if (this.#isOpen) return 'Pass';
    return this.#decide();
  }

  #decide(): 'Hold' | 'Pass' | Failure {
    const { judgement, holds, onPass, backend } = this.#options;
    if (holds) {
      const isEnough =
        this.#tokens >= prefixTokens || (this.#tokens > 0 && performance.now() - this.#firstAt > prefixMs);
      if (this.#isToEnd || !isEnough) return 'Hold';
    } else if (this.#tokens === 0) {
      return 'Hold';
    }
    const { confidence } = this;
    if (holds && judgement.doubts(confidence) && judgement.mayLeave()) return distrusted(backend);
    this.#isOpen = true;
    onPass(holds ? confidence : undefined);
    return 'Pass';
  }

  #count(choice: Choice): void {
    const { delta, text } = choice;
    const said: readonly unknown[] = isObject(delta) ? Object.values({ ...delta, role: undefined }) : [text];
    const saysSomething = said.some((one) => one !== undefined && one !== null && one !== '');
    if (isObject(delta) && (Array.isArray(delta['tool_calls']) || isText(delta['refusal']))) this.#isToEnd = true;
    const tokens = spokenTokens(choice);
    if (!tokens && !saysSomething) return;
    if (this.#tokens === 0) this.#firstAt = performance.now();
    if (!tokens) {
      this.#isUnknown = true;
      this.#tokens++;
      return;
    }
    for (const { token, logprob } of tokens) {
      if (token === '') continue;
      this.#tokens++;
      if (logprob === undefined) this.#isUnknown = true;
      else this.#logprobs.push(logprob);
    }
  }
}

function isText(value: unknown): boolean {
  return typeof value === 'string' && value !== '';
}
