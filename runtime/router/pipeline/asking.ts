import { AssembledAnswer } from '../answers/assembled.ts';
import { type AnswerDocument, isAnswer, type TokenUsage } from '../answers/document.ts';
import { addUsage } from '../answers/usage.ts';
import { WholeAnswer } from '../answers/whole.ts';
import type { LabelQuestion } from '../confidence/label-set.ts';
import { type Failure, invalidAnswer } from '../providers/failure.ts';
import type { Speaking } from '../routes/table.ts';
import { ask } from './ask.ts';
import type { Attempt, Exchange } from './exchange.ts';

/** What came of a question: an answer, or why there is none. */
export type Answered = { document: AnswerDocument; failure?: never } | { document?: never; failure: Failure };

/** Questions to one upstream, and what they cost. */
export class Asking {
  readonly #exchange: Exchange;
  readonly #attempt: Attempt;
  readonly #speaking: Speaking;
  questions = 0;
  usage: TokenUsage | undefined;

  constructor(exchange: Exchange, attempt: Attempt, speaking: Speaking) {
    this.#exchange = exchange;
    this.#attempt = attempt;
    this.#speaking = speaking;
  }

  get backendName(): string {
    return this.#attempt.backend.name;
  }

  async ask(question: LabelQuestion): Promise<Answered> {
    const scored = question.scored && this.#speaking.givesLogprobs;
    const answer = await this.#askOnce(scored === question.scored ? question : { ...question, scored });
    const isRefused = answer.failure?.reason === 'BadRequest';
    if (!isRefused || !scored || this.#speaking.backend.kind === 'Model') return answer;
    // A provider may refuse a request for its log-probabilities alone.
    const without = await this.#askOnce({ ...question, scored: false });
    if (without.failure) return answer;
    this.#speaking.givesLogprobs = false;
    return without;
  }

  async #askOnce(labels: LabelQuestion): Promise<Answered> {
    const { operation, raw, body, stream } = this.#exchange;
    const { backend, dialect, servedModel } = this.#speaking;
    const { interruptedReason } = dialect;
    const name = this.backendName;
    const asked = dialect.request({ operation, raw, body, stream, backend, servedModel, labels });
    const reader = asked.streamed
      ? new AssembledAnswer({ backend: name, interruptedReason, usageKind: asked.usage })
      : new WholeAnswer({ backend: name, interruptedReason, text: true });
    const failure = await ask(this.#exchange, this.#attempt, asked, reader, true);
    if (failure) return { failure };
    this.questions++;
    if (reader.usage) {
      this.usage = this.usage ? addUsage(this.usage, reader.usage, 'PerPrompt') : reader.usage;
      if (this.usage) this.#attempt.usage = this.usage;
    }
    const { document } = reader;
    return document && isAnswer(document)
      ? { document }
      : { failure: invalidAnswer(name, 'sent an answer without choices') };
  }
}
