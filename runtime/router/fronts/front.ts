import type { AnswerDocument } from '../answers/document.ts';
import type { ApiError } from '../errors.ts';

/** An API of clients that is served by another operation. One for each request, whose answers it writes. */
export interface Front {
  /** A whole answer in JSON, or as the events of a stream. Throws a `RangeError` for one that is nested too deeply. */
  whole(answer: AnswerDocument, model: string, stream: boolean): string;
  /** What a piece of the operation's stream, cut anywhere, becomes; empty while it says nothing. */
  piece(bytes: Buffer): string;
  /** The end of a stream that has begun and can't be completed. */
  broken(error: ApiError): string;
  /** An error in the words of the client's API: its `param` is a field of the client's own request. */
  told(error: ApiError): ApiError;
}
