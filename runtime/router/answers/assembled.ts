import { interrupted, invalidAnswer } from '../providers/failure.ts';
import { Assembler } from './assemble.ts';
import { type AnswerDocument, isAnswer, type TokenUsage, usageOf } from './document.ts';
import { isDone, notAStream, readEvent } from './events.ts';
import type { AnswerReader, Flow, Verdict } from './reader.ts';
import { EventTooLarge, type ServerSentEvent, SseParser } from './sse.ts';

/** A stream that is put together to one answer. */
export class AssembledAnswer implements AnswerReader {
  readonly #backend: string;
  readonly #interruptedReason: string | undefined;
  readonly #assembler = new Assembler();
  readonly #parser = new SseParser((event) => this.#onEvent(event));
  #flow: Flow | undefined;
  #verdict: Verdict;
  document: AnswerDocument | undefined;
  usage: TokenUsage | undefined;

  constructor({ backend, interruptedReason }: { backend: string; interruptedReason: string | undefined }) {
    this.#backend = backend;
    this.#interruptedReason = interruptedReason;
  }

  begin(flow: Flow, contentType: string): Verdict {
    this.#flow = flow;
    return contentType.startsWith('text/event-stream') ? undefined : notAStream(this.#backend, contentType);
  }

  data(chunk: Buffer): Verdict {
    try {
      this.#parser.push(chunk);
    } catch (error) {
      if (!(error instanceof EventTooLarge)) throw error;
      return invalidAnswer(this.#backend, `sent a broken stream: ${error.message}`);
    }
    return this.#verdict;
  }

  end(): Verdict {
    if (this.#parser.rest().toString().trim() === 'data: [DONE]') return this.#complete();
    return interrupted(this.#backend);
  }

  #onEvent(event: ServerSentEvent): void {
    if (this.#verdict !== undefined || event.data.length === 0) return;
    this.#flow?.progressed();
    if (isDone(event)) {
      this.#verdict = this.#complete();
      return;
    }
    const { piece, failure } = readEvent(event, this.#backend, this.#interruptedReason);
    if (failure) {
      this.#verdict = failure;
      return;
    }
    this.usage = usageOf(piece) ?? this.usage;
    if (isAnswer(piece)) this.#assembler.add(piece);
  }

  #complete(): Verdict {
    this.document = this.#assembler.finish();
    return this.document ? 'Complete' : invalidAnswer(this.#backend, 'sent an answer without choices');
  }
}
