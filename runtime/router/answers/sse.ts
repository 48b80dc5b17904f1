const newline = 0x0a;
const carriageReturn = 0x0d;
const colon = 0x3a;
const dataField = Buffer.from('data:');
const eventField = Buffer.from('event:');
const empty = Buffer.alloc(0);

/** One server-sent event. Comments (`: ping`) are none. */
export interface ServerSentEvent {
  /** The `data` lines, joined with a line feed. A view into what was pushed: copy what must outlive the call. */
  data: Buffer;
  /** The `event` field, where there is one. */
  event: string | undefined;
}

/** An event grew past the parser's limit. */
export class EventTooLarge extends Error {
  override readonly name = 'EventTooLarge';
}

/**
 * Splits a byte stream into server-sent events, however it is cut into chunks
 * (https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream). Works on bytes, so that a
 * character that is split over two chunks stays whole. Cost is linear in the stream's length.
 */
export class SseParser {
  readonly #onEvent: (event: ServerSentEvent) => void;
  readonly #limit: number;
  /** What came after the last complete event: #held.subarray(0, #length). */
  #held = empty;
  #length = 0;
  /** The last chunk ended with a carriage return, whose line feed, if any, comes next and is no new line. */
  #afterReturn = false;
  #atStart = true;

  constructor(onEvent: (event: ServerSentEvent) => void, limit = 16 * 1024 * 1024) {
    this.#onEvent = onEvent;
    this.#limit = limit;
  }

  /** Throws `EventTooLarge`. */
  push(chunk: Buffer): void {
    let bytes = this.#unify(chunk);
    if (this.#length > 0) {
      const searchFrom = this.#length - 1;
      this.#hold(bytes);
      const held = this.#held.subarray(0, this.#length);
      const consumed = this.#split(held, searchFrom);
      if (consumed === 0) return;
      // What is left moves to the front of the same memory only after the events were read out of it.
      bytes = held.subarray(consumed);
      this.#length = 0;
      if (bytes.length > 0) this.#held = Buffer.from(bytes);
      this.#length = bytes.length;
      return;
    }
    const consumed = this.#split(bytes, 0);
    if (consumed < bytes.length) this.#hold(bytes.subarray(consumed));
  }

  /** Bytes of an event that has not ended. */
  rest(): Buffer {
    return this.#held.subarray(0, this.#length);
  }

  /** Reports each event that ends within `bytes`; returns where the first one begins that does not. */
  #split(bytes: Buffer, searchFrom: number): number {
    let start = 0;
    let at = searchFrom;
    if (this.#atStart && bytes.length >= 3) {
      this.#atStart = false;
      if (bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf) start = 3;
    }
    for (;;) {
      const lineEnd = bytes.indexOf(newline, at);
      if (lineEnd < 0) return start;
      if (lineEnd === start) {
        start = lineEnd + 1; // a blank line more
      } else if (bytes[lineEnd - 1] === newline) {
        this.#report(bytes.subarray(start, lineEnd - 1));
        start = lineEnd + 1;
      }
      at = lineEnd + 1;
    }
  }

  /** `block`: the lines of an event without the blank line, nor the last line's end. */
  #report(block: Buffer): void {
    if (block.indexOf(newline) < 0) {
      const data = fieldValue(block, dataField);
      if (data) this.#onEvent({ data, event: undefined });
      return;
    }
    const lines: Buffer[] = [];
    let event: string | undefined;
    for (let start = 0; start <= block.length; ) {
      const found = block.indexOf(newline, start);
      const end = found < 0 ? block.length : found;
      const line = block.subarray(start, end);
      const data = fieldValue(line, dataField);
      if (data) lines.push(data);
      else event = fieldValue(line, eventField)?.toString() ?? event;
      start = end + 1;
    }
    if (lines.length === 1) this.#onEvent({ data: lines[0] as Buffer, event });
    else if (lines.length > 1) this.#onEvent({ data: joinLines(lines), event });
  }

  /** The chunk with `\n` as its only line end: a bare carriage return ends a line too, and JSON never has one inside. */
  #unify(chunk: Buffer): Buffer {
    if (!this.#afterReturn && chunk.indexOf(carriageReturn) < 0) return chunk;
    const out = Buffer.allocUnsafe(chunk.length);
    let length = 0;
    for (const byte of chunk) {
      if (byte === carriageReturn) out[length++] = newline;
      else if (byte !== newline || !this.#afterReturn) out[length++] = byte;
      this.#afterReturn = byte === carriageReturn;
    }
    return out.subarray(0, length);
  }

  #hold(bytes: Buffer): void {
    const needed = this.#length + bytes.length;
    if (needed > this.#limit) throw new EventTooLarge(`an event of the stream is larger than ${this.#limit} bytes`);
    if (needed > this.#held.length) {
      const larger = Buffer.allocUnsafe(Math.max(needed * 2, 1024));
      this.#held.copy(larger, 0, 0, this.#length);
      this.#held = larger;
    }
    bytes.copy(this.#held, this.#length);
    this.#length = needed;
  }
}

function fieldValue(line: Buffer, field: Buffer): Buffer | undefined {
  if (line.length < field.length || line[field.length - 1] !== colon) return undefined;
  for (let i = 0; i < field.length - 1; i++) if (line[i] !== field[i]) return undefined;
  return line.subarray(line[field.length] === 0x20 ? field.length + 1 : field.length);
}

function joinLines(lines: Buffer[]): Buffer {
  return Buffer.concat(lines.flatMap((line, i) => (i === 0 ? [line] : [Buffer.from('\n'), line])));
}
