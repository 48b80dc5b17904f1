import { scanMembers } from '../json/scan.ts';
import { type Failure, interrupted, invalidAnswer } from '../providers/failure.ts';
import { type AnswerDocument, isAnswer, parseObject, type TokenUsage, usageOf } from './document.ts';
import {
  isDone,
  isEmpty,
  isOpening,
  isUsageOnly,
  looksLikeObject,
  needsReading,
  notAStream,
  readEvent,
} from './events.ts';
import type { AnswerReader, Ended, Flow, Verdict } from './reader.ts';
import { EventTooLarge, type ServerSentEvent, SseParser } from './sse.ts';
import { addUsage, type UsageKind } from './usage.ts';

const dataPrefix = Buffer.from('data: ');
const eventEnd = Buffer.from('\n\n');
const doneEvent = Buffer.from('data: [DONE]\n\n');
const modelName = [Buffer.from('model')];

/** So many pieces are held back while nothing of the answer comes; an upstream must not fill the memory with them. */
const mostHeld = 64;
/** Who speaks takes a few hundred bytes to say. */
const largestOpening = 4096;

/** A stream that is held back for longer than this, in bytes, goes out: it must not fill the memory. */
const mostHeldBytes = 4 * 1024 * 1024;

/** Where a stream goes. */
export interface Sink {
  /** Called once, before the first byte: from here on nobody else can answer. */
  commit(): void;
  /** False when the client does not keep up; `drained` is called once it does again. */
  write(bytes: Buffer, drained: () => void): boolean;
}

/** Judges a stream while it comes. */
export interface StreamGate {
  /** Reads an event and takes out of it what the client did not ask for. Until it says `Pass`, the client gets nothing. */
  read(piece: AnswerDocument): 'Hold' | 'Pass' | Failure;
}

export interface RelayOptions {
  backend: string;
  interruptedReason: string | undefined;
  usageKind: UsageKind;
  /** The model's public name, in JSON. */
  publicName: Buffer;
  /** The client did not ask for the event with the usage. */
  dropUsage: boolean;
  sink: Sink;
  /** Absent: the answer goes out as it comes. */
  gate?: StreamGate | undefined;
}

/** A stream that is passed on event by event, as fast as the client reads. */
export class RelayedAnswer implements AnswerReader {
  readonly #options: RelayOptions;
  readonly #reason: Buffer | undefined;
  readonly #parser = new SseParser((event) => this.#onEvent(event));
  #flow: Flow | undefined;
  #pieces: Buffer[] = [];
  #verdict: Verdict;
  #committed = false;
  /** Something of the answer has come, not only who speaks: vLLM says that before it has read the prompt. */
  #answering = false;
  /** The gate is closed. A stream that ends so is complete, and still to be given. */
  #holding: boolean;
  #heldBytes = 0;
  usage: TokenUsage | undefined;

  constructor(options: RelayOptions) {
    this.#options = options;
    this.#holding = options.gate !== undefined;
    const { interruptedReason } = options;
    this.#reason = interruptedReason === undefined ? undefined : Buffer.from(`"${interruptedReason}"`);
  }

  begin(flow: Flow, contentType: string): Verdict {
    this.#flow = flow;
    return contentType.startsWith('text/event-stream') ? undefined : notAStream(this.#options.backend, contentType);
  }

  data(chunk: Buffer): Verdict {
    try {
      this.#parser.push(chunk);
    } catch (error) {
      if (!(error instanceof EventTooLarge)) throw error;
      this.#verdict = invalidAnswer(this.#options.backend, `sent a broken stream: ${error.message}`);
    }
    return this.#pass();
  }

  end(): Ended {
    if (this.#parser.rest().toString().trim() !== 'data: [DONE]') return interrupted(this.#options.backend);
    this.#pieces.push(doneEvent);
    this.#verdict = 'Complete';
    this.#pass();
    return 'Complete';
  }

  /** The answer is complete, and nothing of it was sent. */
  get isHeld(): boolean {
    return this.#holding;
  }

  /** Sends an answer that is held, to its end. */
  release(): void {
    this.#holding = false;
    this.#pass();
  }

  /** Sends what was read. Of an attempt that fails before its first byte was sent, nothing is. */
  #pass(): Verdict {
    const verdict = this.#verdict;
    if (this.#holding) return verdict;
    if (!this.#answering && verdict !== 'Complete') return verdict;
    if (this.#pieces.length === 0 || (isFailure(verdict) && !this.#committed)) return verdict;
    const bytes = Buffer.concat(this.#pieces);
    this.#pieces = [];
    if (!this.#committed) {
      this.#committed = true;
      this.#options.sink.commit();
    }
    const flow = this.#flow;
    if (!this.#options.sink.write(bytes, () => flow?.resume()) && verdict === undefined) flow?.pause();
    return verdict;
  }

  #onEvent(event: ServerSentEvent): void {
    if (this.#verdict !== undefined || isEmpty(event)) return;
    const { backend, interruptedReason, dropUsage, usageKind } = this.#options;
    this.#flow?.progressed();
    if (isDone(event)) {
      this.#pieces.push(doneEvent);
      this.#verdict = 'Complete';
      return;
    }
    if (this.#options.gate) {
      this.#onGated(event, this.#options.gate);
      return;
    }
    let { data } = event;
    this.#answering ||= this.#pieces.length >= mostHeld || data.length > largestOpening || !isOpeningEvent(data);
    if (!looksLikeObject(data)) {
      this.#verdict = invalidAnswer(backend, 'sent an event that is not a JSON object');
      return;
    }
    if (data.indexOf(0x0a) >= 0 || needsReading(event, this.#reason)) {
      const { piece, failure } = readEvent(event, backend, interruptedReason);
      if (failure) {
        this.#verdict = failure;
        return;
      }
      this.usage = addUsage(this.usage, usageOf(piece), usageKind);
      if (dropUsage && isUsageOnly(piece)) return;
      if (data.indexOf(0x0a) >= 0) data = Buffer.from(JSON.stringify(piece)); // an event of one line again
    }
    this.#push(data);
  }

  /** An event that is read, whatever is in it, and written anew. */
  #onGated(event: ServerSentEvent, gate: StreamGate): void {
    const { backend, interruptedReason, dropUsage, usageKind } = this.#options;
    const { piece, failure } = readEvent(event, backend, interruptedReason);
    if (failure) {
      this.#verdict = failure;
      return;
    }
    this.usage = addUsage(this.usage, usageOf(piece), usageKind);
    this.#answering ||= this.#pieces.length >= mostHeld || event.data.length > largestOpening || !isOpening(piece);
    if (isAnswer(piece)) {
      const decision = gate.read(piece);
      if (typeof decision === 'object') {
        this.#verdict = decision;
        return;
      }
      if (decision === 'Pass') this.#holding = false;
    }
    if (dropUsage && isUsageOnly(piece)) return;
    const data = Buffer.from(JSON.stringify(piece));
    if (this.#holding && (this.#heldBytes += data.length) > mostHeldBytes) this.#holding = false;
    this.#push(data);
  }

  #push(data: Buffer): void {
    this.#pieces.push(dataPrefix);
    pushRenamed(this.#pieces, data, this.#options.publicName);
    this.#pieces.push(eventEnd);
  }
}

function isOpeningEvent(data: Buffer): boolean {
  const piece = parseObject(data);
  return piece !== undefined && isOpening(piece);
}

function isFailure(verdict: Verdict): verdict is Failure {
  return verdict !== undefined && verdict !== 'Complete';
}

/** Pushes an event with its `model` replaced, without copying it once more. */
function pushRenamed(pieces: Buffer[], json: Buffer, name: Buffer): void {
  let copied = 0;
  scanMembers(json, modelName, (_, start, end) => {
    pieces.push(json.subarray(0, start), name);
    copied = end;
    return false;
  });
  pieces.push(copied === 0 ? json : json.subarray(copied));
}
