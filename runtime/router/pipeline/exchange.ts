import type { IncomingMessage, ServerResponse } from 'node:http';
import { performance } from 'node:perf_hooks';
import type { EscalationReason } from '../../../crds/v1alpha1/escalation.ts';
import type { Logger } from '../../../process/logger.ts';
import type { TokenUsage } from '../answers/document.ts';
import type { RouterConfig } from '../config.ts';
import type { Front } from '../fronts/front.ts';
import type { RouterMetrics } from '../metrics.ts';
import type { Endpoint, Operation, RequestBody } from '../operations.ts';
import type { Failure } from '../providers/failure.ts';
import type { Upstream, Upstreams } from '../providers/upstreams.ts';
import type { EndpointTable } from '../routes/endpoint-table.ts';
import type { LiveBackend, LiveRoute, Principal, RouteTable } from '../routes/table.ts';
import type { RequestTrace, Tracing } from '../tracing/tracing.ts';
import type { Gates } from './admission.ts';
import type { BatchText } from './batch.ts';
import type { Outcome } from './cost.ts';
import type { Race } from './hedge.ts';
import type { Limits, Reservation } from './limits.ts';
import type { RateBudgets } from './rate-budget.ts';
import type { Confidence, Score } from './score.ts';

/** What every request shares. */
export interface RouterContext {
  config: RouterConfig;
  log: Logger;
  metrics: RouterMetrics;
  /** The table of this moment: a request takes it once and keeps it. */
  routes: { readonly table: RouteTable };
  endpoints: EndpointTable;
  upstreams: Upstreams;
  /** Of escalation. */
  budgets: RateBudgets;
  /** Absent: nobody wants traces. */
  tracing?: Tracing | undefined;
  limits: Limits;
  gates: Gates;
  /** Of hedging. */
  hedges: RateBudgets;
  /** In [0, 1); Math.random but for tests. */
  random: () => number;
  /** The process is about to end: no connection is kept. */
  draining: boolean;
}

/** An answer that waits until it is decided whether it is given. */
export interface HeldAnswer {
  score: Score;
  /** Gives it to the client; the failure where that can't be done. */
  deliver(): Failure | undefined;
}

/** How an answer is judged, whose backend is asked now. */
export interface Judgement {
  /** The least confidence at which it is taken; undefined: any, and none is asked for. */
  threshold: number | undefined;
  /** Whether so much confidence is too little. */
  doubts: (confidence: Confidence | undefined) => boolean;
  /** Whether an answer that is not sure enough may be given up before its end, as somebody else will be asked. */
  mayLeave: () => boolean;
}

/** A request that was taken from one backend to another, both by their names in the policy. */
export interface Escalated {
  from: string;
  to: string;
  reason: EscalationReason;
}

/** One attempt to have the request answered. */
export interface Attempt {
  backend: LiveBackend;
  /** Undefined: the backend had none that is ready. */
  upstream: Upstream | undefined;
  /** Undefined: it answered, or has not yet failed. */
  failure?: Failure;
  /** The connection's own words. */
  cause?: Error;
  /** Where it is decided before the request has ended: of one text of many. */
  outcome?: Outcome;
  /** An answer that the client has not got yet, as it is judged first. */
  held?: HeldAnswer;
  /** How sure its answer was; absent: nobody asked. */
  confidence?: Confidence | undefined;
  /** The tokens that it cost, as the upstream counted them, whoever's answer the client got. */
  usage?: TokenUsage;
}

/** One request on its way. Each stage adds what the later ones need. */
export interface Exchange {
  readonly id: string;
  readonly endpoint: Endpoint;
  readonly operation: Operation;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** ms, monotonic. */
  readonly startedAt: number;
  /** The table that this request sees. */
  readonly table: RouteTable;
  /** Its span, where there are traces. */
  trace: RequestTrace | undefined;
  /** The client has left. */
  gone: boolean;
  /**
   * The attempt that is under way, if one is. The call itself, and no closure over it: with one, V8 kept what a request had
   * used until the next full collection, which doubled what the router costs.
   */
  call: { fail(failure: Failure): void } | undefined;
  /** hedge: the attempts that are under way beside each other; undefined: there is but one. */
  race: Race | undefined;

  /** receive: who writes the answers, where the client speaks another API than the operation's. */
  front: Front | undefined;
  /** receive: bytes of the body that are held, out of `client.maxBufferedBytes`. */
  bufferedBytes: number;
  /** receive: the body as it came, or as a front has translated it, and read. */
  raw: Buffer;
  body: RequestBody;
  stream: boolean;
  model: string;
  /** classify: the text that this is about, which is one of those of a request. */
  text: BatchText | undefined;
  /** receive: what the client's key opens; authenticate: else what is open to all. */
  principal: Principal | undefined;
  /** match */
  route: LiveRoute | undefined;
  /** split: the rule whose split it was. */
  rule: string | undefined;
  /** limit: what the request has taken of its policy's limits; undefined: it has none. */
  reservation: Reservation | undefined;
  /** split: whom to ask, in this order. */
  candidates: readonly LiveBackend[];
  /** balance: what was tried, the last one being the one to try now. */
  attempts: Attempt[];
  /** When all attempts have to be over, by `performance.now()`. */
  deadline: number;
  /** escalate: answers are held and judged, against this confidence if it is defined; undefined: they are given as they come. */
  judgement: Judgement | undefined;
  /** escalate: in this order. */
  escalations: readonly Escalated[];
  /** escalate: why an answer that was not trusted, or an error, was given all the same. */
  notEscalated: 'BudgetExhausted' | 'NextFailed' | undefined;
  /** send: whether the answer has begun to go to the client. */
  committed: boolean;
  /** send: the attempt whose answer goes to the client. */
  answer: Attempt | undefined;
  /** send: when the client's first byte went out; 0 before. */
  firstByteAt: number;
  /** send: tokens of the answer that was given, which are those of its attempt. */
  usage: TokenUsage | undefined;
  /** send: how sure the answer is that was given, in [0, 1]; undefined: nobody asked. */
  confidence: number | 'Unknown' | undefined;
  /** What the client was told: an HTTP status, 499 for one that left, 0 before. */
  status: number;
}

/** A stage of the pipeline. Throws an `ApiError` to end the request with it. */
export type Stage = (exchange: Exchange, context: RouterContext) => void | Promise<void>;

const nothing = Buffer.alloc(0);
const noEscalations: readonly Escalated[] = [];

export function newExchange(
  id: string,
  endpoint: Endpoint,
  request: IncomingMessage,
  response: ServerResponse,
  table: RouteTable,
): Exchange {
  return {
    id,
    endpoint,
    operation: endpoint.operation,
    request,
    response,
    startedAt: performance.now(),
    table,
    trace: undefined,
    gone: false,
    call: undefined,
    bufferedBytes: 0,
    race: undefined,
    front: undefined,
    raw: nothing,
    body: {},
    stream: false,
    model: '',
    text: undefined,
    principal: undefined,
    route: undefined,
    rule: undefined,
    reservation: undefined,
    candidates: [],
    attempts: [],
    deadline: 0,
    judgement: undefined,
    escalations: noEscalations,
    notEscalated: undefined,
    committed: false,
    answer: undefined,
    firstByteAt: 0,
    usage: undefined,
    confidence: undefined,
    status: 0,
  };
}

/** What an earlier stage has set. That it is missing is a mistake in the pipeline's order. */
export function set<T>(value: T | undefined, name: string): T {
  if (value === undefined) throw new TypeError(`the pipeline has no ${name} yet`);
  return value;
}
