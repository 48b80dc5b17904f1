import { interrupted, invalidAnswer } from '../providers/failure.ts';
import { eventFailure } from '../providers/upstream-error.ts';
import { isAnswer, isError, type JsonObject, parseObject, type TokenUsage, usageOf } from './document.ts';
import { type AnswerReader, type Ended, type Flow, maxAnswerBytes, type Verdict } from './reader.ts';

/** Up to this size an answer without text (embeddings) is parsed, to be sure that it is JSON. */
const maxParsedVectors = 64 * 1024;

const openBrace = 0x7b;
const closeBrace = 0x7d;
const usageKey = Buffer.from('"usage"');

/** What to expect of an answer. */
export interface WholeOptions {
  backend: string;
  interruptedReason: string | undefined;
  /** The answer has choices; else it is a list of vectors. */
  text: boolean;
  /** Up to this size an answer without text is read; absent: as far as it takes to be sure that it is JSON. */
  largest?: number;
}

/** An answer that comes in one piece. */
export class WholeAnswer implements AnswerReader {
  readonly #options: WholeOptions;
  readonly #chunks: Buffer[] = [];
  #flow: Flow | undefined;
  #size = 0;
  /** The answer as it came. */
  bytes: Buffer = Buffer.alloc(0);
  /** The answer, read; undefined for large lists of vectors. */
  document: JsonObject | undefined;
  usage: TokenUsage | undefined;

  constructor(options: WholeOptions) {
    this.#options = options;
  }

  begin(flow: Flow): Verdict {
    this.#flow = flow;
    return undefined;
  }

  data(chunk: Buffer): Verdict {
    this.#flow?.progressed();
    this.#size += chunk.length;
    if (this.#size > maxAnswerBytes)
      return invalidAnswer(this.#options.backend, `sent more than ${maxAnswerBytes} bytes`);
    this.#chunks.push(chunk);
    return undefined;
  }

  end(): Ended {
    const { backend, interruptedReason, text, largest = maxParsedVectors } = this.#options;
    this.bytes = this.#chunks.length === 1 ? (this.#chunks[0] as Buffer) : Buffer.concat(this.#chunks);
    this.#chunks.length = 0;
    if (!text && this.bytes.length > largest) return this.#endOfVectors();
    const document = parseObject(this.bytes);
    if (!document) return invalidAnswer(backend, 'sent an answer that is not a JSON object');
    if (isError(document)) return eventFailure(backend, this.bytes.toString());
    if (text) {
      if (!isAnswer(document) || document.choices.length === 0)
        return invalidAnswer(backend, 'sent an answer without choices');
      if (interruptedReason !== undefined && document.choices.some((one) => one.finish_reason === interruptedReason))
        return interrupted(backend);
    }
    this.document = document;
    this.usage = usageOf(document);
    return 'Complete';
  }

  /** Megabytes of numbers are passed on unread; only the usage beside them is looked for. */
  #endOfVectors(): Ended {
    const bytes = this.bytes;
    const body = bytes.subarray(0, bytes.findLastIndex((byte) => byte > 0x20) + 1);
    if (body[0] !== openBrace || body.at(-1) !== closeBrace)
      return invalidAnswer(this.#options.backend, 'sent an answer that is not a JSON object');
    const at = bytes.indexOf(usageKey);
    const end = at < 0 ? -1 : bytes.indexOf(closeBrace, at);
    if (end > 0) this.usage = usageOf(parseObject(`{${bytes.toString('latin1', at, end + 1)}}`) ?? {});
    return 'Complete';
  }
}
