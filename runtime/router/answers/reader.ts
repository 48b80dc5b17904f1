import type { Failure } from '../providers/failure.ts';
import type { TokenUsage } from './document.ts';

/** An answer larger than this, in bytes as it comes, is not passed on in one piece: it is in memory several times over. */
export const maxAnswerBytes = 64 * 1024 * 1024;

/** What a reader may do to the connection that it reads from. */
export interface Flow {
  /** Something of the answer arrived: the time until the next piece begins anew. */
  progressed(): void;
  /** Stops reading, and the clock with it: the client is the slow one. */
  pause(): void;
  resume(): void;
  /** Ends the attempt. */
  fail(failure: Failure): void;
}

/** After a piece: go on, the answer is complete, or it is none. */
export type Verdict = undefined | Ended;

/** After the end of the body: the answer is complete, or it is none. */
export type Ended = 'Complete' | Failure;

/** Makes an answer of the body of a 2xx. */
export interface AnswerReader {
  /** Tokens, as far as the answer has told them. */
  readonly usage?: TokenUsage | undefined;
  /** Head of the answer. */
  begin(flow: Flow, contentType: string): Verdict;
  data(chunk: Buffer): Verdict;
  /** The body ended before the reader called the answer complete. */
  end(): Ended;
}
