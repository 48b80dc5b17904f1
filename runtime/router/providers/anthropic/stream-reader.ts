import { parseObject } from '../../answers/document.ts';
import type { AnswerReader, Ended, Flow, Verdict } from '../../answers/reader.ts';
import { EventTooLarge, type ServerSentEvent, SseParser } from '../../answers/sse.ts';
import { invalidAnswer } from '../failure.ts';
import { EventTranslator } from './event-translator.ts';

/** Makes OpenAI's stream of Anthropic's, and has it read. */
export class StreamReader implements AnswerReader {
  readonly #inner: AnswerReader;
  readonly #backend: string;
  readonly #translator: EventTranslator;
  readonly #parser = new SseParser((event) => this.#onEvent(event));
  #out = '';
  #flow: Flow | undefined;

  constructor(inner: AnswerReader, backend: string, isChat: boolean) {
    this.#inner = inner;
    this.#backend = backend;
    this.#translator = new EventTranslator(isChat);
  }

  begin(flow: Flow, contentType: string): Verdict {
    this.#flow = flow;
    return this.#inner.begin(flow, contentType);
  }

  data(chunk: Buffer): Verdict {
    try {
      this.#parser.push(chunk);
    } catch (error) {
      if (error instanceof EventTooLarge) return invalidAnswer(this.#backend, `sent a broken stream: ${error.message}`);
      if (error instanceof RangeError) return invalidAnswer(this.#backend, 'sent an event that is nested too deeply');
      throw error;
    }
    const out = this.#out;
    if (out === '') return undefined;
    this.#out = '';
    return this.#inner.data(Buffer.from(out));
  }

  end(): Ended {
    return this.#inner.end();
  }

  #onEvent({ data }: ServerSentEvent): void {
    const event = parseObject(data);
    if (!event) {
      this.#out += `data: ${data.toString().replaceAll('\n', ' ')}\n\n`; // the inner reader says what is wrong with it
      return;
    }
    // Pings tell that the connection is alive, not that the model is.
    if (event['type'] !== 'ping') this.#flow?.progressed();
    for (const piece of this.#translator.translate(event)) this.#out += `data: ${JSON.stringify(piece)}\n\n`;
    if (this.#translator.isComplete) this.#out += 'data: [DONE]\n\n';
  }
}
