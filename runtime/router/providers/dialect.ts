import type { ModelBackend, ProviderBackend } from '../../../crds/route-table.ts';
import type { UsageKind } from '../answers/usage.ts';
import type { LabelQuestion } from '../confidence/label-set.ts';
import type { Operation, RequestBody } from '../operations.ts';

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
}

/** How one kind of upstream is spoken to. A new one is a file here and a line in `dialects.ts`. */
export interface Dialect {
  /** The client's request in this dialect: its own bytes wherever nothing in them must change. */
  request(asked: Asked): UpstreamRequest;
  /** A `finish_reason` by which the engine says that it stopped early, or undefined where there is none. */
  readonly interruptedReason: string | undefined;
}
