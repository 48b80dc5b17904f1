import type { TokenUsage } from '../answers/document.ts';
import type { Attempt, Exchange } from '../pipeline/exchange.ts';
import type { Failure } from '../providers/failure.ts';

/** Makes traces. This file is all that the pipeline knows of them: `opentelemetry.ts` is loaded only where they are wanted. */
export interface Tracing {
  /** A request has come. */
  begin(exchange: Exchange): RequestTrace;
  /** Sends what is left; takes 3 s at the most. */
  shutdown(): Promise<void>;
}

/** The span of one request. */
export interface RequestTrace {
  /** An upstream is about to be called, for this attempt. */
  beginCall(exchange: Exchange, attempt: Attempt): CallTrace;
  /** The request has come to its end, however it did. */
  end(exchange: Exchange): void;
}

/** The span of one call to an upstream. */
export interface CallTrace {
  /** What tells the upstream of the trace: names and values in turn. */
  readonly headers: readonly string[];
  end(failure: Failure | undefined, usage: TokenUsage | undefined): void;
}
