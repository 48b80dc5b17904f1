import type { ModelBackend, ProviderBackend } from '../../../crds/route-table.ts';
import type { AnswerReader } from '../answers/reader.ts';
import type { UsageKind } from '../answers/usage.ts';
import type { LabelQuestion } from '../confidence/label-set.ts';
import type { Operation, RequestBody } from '../operations.ts';
import type { Failure } from './failure.ts';

/** A backend that can be called. */
export type CallableBackend = ModelBackend | ProviderBackend;

/** What a client asked, and of whom. */
export interface Asked {
  operation: Operation;
  /** The body as it came. */
  raw: Buffer;
  body: RequestBody;
  /** The client wants a stream. */
  stream: boolean;
  backend: CallableBackend;
  /** The name by which the upstream knows the model, in JSON. */
  servedModel: string;
  /** The answer is to be one of these labels; undefined: any text. */
  labels: LabelQuestion | undefined;
  /** Without labels: the tokens of the answer are wanted with their probabilities. */
  scored?: boolean;
}

/** The request as one upstream is asked. */
export interface UpstreamRequest {
  /** Path at the endpoint. */
  path: string;
  body: Buffer;
  /** The answer will be a stream of events. */
  streamed: boolean;
  /** What the usages in that stream mean. */
  usage: UsageKind;
  /** Around the reader of an answer in OpenAI's form, one of this dialect's; absent where that form is its own. */
  translated?: (inner: AnswerReader) => AnswerReader;
  /** Why the request is not sent: what is asked for has no counterpart here. */
  refusal?: Failure;
}

/** How one kind of upstream is spoken to. A new one is a file here and a line in `dialects.ts`. */
export interface Dialect {
  /** The client's request in this dialect: its own bytes wherever nothing in them must change. */
  request(asked: Asked): UpstreamRequest;
  /** Headers of every request to a backend, names and values in turn. Called once for each route. */
  headers(backend: CallableBackend): string[];
  /** It may be asked for log-probabilities. */
  readonly givesLogprobs: boolean;
  /** A `finish_reason` by which the engine says that it stopped early, or undefined where there is none. */
  readonly interruptedReason: string | undefined;
}
