import { type Failure, interrupted, invalidAnswer } from '../providers/failure.ts';
import { Assembler } from './assemble.ts';
import { type AnswerDocument, isAnswer, setUsage, type TokenUsage, usageOf } from './document.ts';
import { isDone, isEmpty, notAStream, readEvent } from './events.ts';
import { type AnswerReader, type Ended, type Flow, maxAnswerBytes, type Verdict } from './reader.ts';
import { EventTooLarge, type ServerSentEvent, SseParser } from './sse.ts';
import { addUsage, type UsageKind } from './usage.ts';

/** What to expect of a stream. */
export interface AssembledOptions {
  backend: string;
  interruptedReason: string | undefined;
  usageKind: UsageKind;
  /** Sees each piece of the answer before it is put to the others. May call the answer off. */
  onPiece?: ((piece: AnswerDocument) => Failure | undefined) | undefined;
}

/** A stream that is put together to one answer. */
export class AssembledAnswer implements AnswerReader {
  readonly #options: AssembledOptions;
  readonly #assembler = new Assembler();
  readonly #parser = new SseParser((event) => this.#onEvent(event));
  #flow: Flow | undefined;
  #verdict: Verdict;
  #size = 0;
  document: AnswerDocument | undefined;
  usage: TokenUsage | undefined;

  constructor(options: AssembledOptions) {
    this.#options = options;
  }

  begin(flow: Flow, contentType: string): Verdict {
    this.#flow = flow;
    return contentType.startsWith('text/event-stream') ? undefined : notAStream(this.#options.backend, contentType);
  }

  data(chunk: Buffer): Verdict {
    this.#size += chunk.length;
    if (this.#size > maxAnswerBytes)
      return invalidAnswer(this.#options.backend, `sent more than ${maxAnswerBytes} bytes`);
    try {
      this.#parser.push(chunk);
    } catch (error) {
      if (!(error instanceof EventTooLarge)) throw error;
      return invalidAnswer(this.#options.backend, `sent a broken stream: ${error.message}`);
    }
    return this.#verdict;
  }

  end(): Ended {
    if (this.#parser.rest().toString().trim() === 'data: [DONE]') return this.#complete();
    return interrupted(this.#options.backend);
  }

  #onEvent(event: ServerSentEvent): void {
    if (this.#verdict !== undefined || isEmpty(event)) return;
    this.#flow?.progressed();
    if (isDone(event)) {
      this.#verdict = this.#complete();
      return;
    }
    const { piece, failure } = readEvent(event, this.#options.backend, this.#options.interruptedReason);
    if (failure) {
      this.#verdict = failure;
      return;
    }
    this.usage = addUsage(this.usage, usageOf(piece), this.#options.usageKind);
    if (!isAnswer(piece)) return;
    this.#verdict = this.#options.onPiece?.(piece);
    this.#assembler.add(piece);
  }

  #complete(): Ended {
    this.document = this.#assembler.finish();
    if (this.document && this.usage && this.document.choices.length > 1) setUsage(this.document, this.usage);
    return this.document ? 'Complete' : invalidAnswer(this.#options.backend, 'sent an answer without choices');
  }
}
