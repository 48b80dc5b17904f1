import { parseObject } from '../../answers/document.ts';
import { type AnswerReader, type Ended, type Flow, maxAnswerBytes, type Verdict } from '../../answers/reader.ts';
import { invalidAnswer } from '../failure.ts';
import { asAnswer } from './answer.ts';

/** Makes an answer of OpenAI's of Anthropic's message. What is none goes to the inner reader as it is, which says so. */
export class MessageReader implements AnswerReader {
  readonly #inner: AnswerReader;
  readonly #backend: string;
  readonly #isChat: boolean;
  readonly #chunks: Buffer[] = [];
  #size = 0;
  #flow: Flow | undefined;

  constructor(inner: AnswerReader, backend: string, isChat: boolean) {
    this.#inner = inner;
    this.#backend = backend;
    this.#isChat = isChat;
  }

  begin(flow: Flow, contentType: string): Verdict {
    this.#flow = flow;
    return this.#inner.begin(flow, contentType);
  }

  data(chunk: Buffer): Verdict {
    this.#flow?.progressed();
    this.#size += chunk.length;
    if (this.#size > maxAnswerBytes) return invalidAnswer(this.#backend, `sent more than ${maxAnswerBytes} bytes`);
    this.#chunks.push(chunk);
    return undefined;
  }

  end(): Ended {
    const bytes = Buffer.concat(this.#chunks);
    this.#chunks.length = 0;
    return this.#inner.data(this.#translated(bytes)) ?? this.#inner.end();
  }

  #translated(bytes: Buffer): Buffer {
    const message = parseObject(bytes);
    if (!message) return bytes;
    try {
      const answer = asAnswer(message, this.#isChat);
      return answer ? Buffer.from(JSON.stringify(answer)) : bytes;
    } catch (error) {
      if (error instanceof RangeError) return bytes; // nested deeper than the stack: no answer
      throw error;
    }
  }
}
