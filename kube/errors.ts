/**
 * Why a call to the API server failed. The first group are reasons of metav1.Status
 * (https://pkg.go.dev/k8s.io/apimachinery/pkg/apis/meta/v1#StatusReason); the second are ours, for calls without an answer.
 */
export const kubeErrorCodes = [
  'AlreadyExists',
  'BadRequest',
  'Conflict',
  'Expired',
  'Forbidden',
  'Gone',
  'InternalError',
  'Invalid',
  'MethodNotAllowed',
  'NotAcceptable',
  'NotFound',
  'RequestEntityTooLarge',
  'ServerTimeout',
  'ServiceUnavailable',
  'Timeout',
  'TooManyRequests',
  'Unauthorized',
  'UnsupportedMediaType',

  /** No connection could be opened: the request was not sent. */
  'ConnectFailed',
  /** The connection broke before the answer was complete: the request may have been carried out. */
  'ConnectionLost',
  /** No complete answer within the call's time limit: the request may have been carried out. */
  'TimedOut',
  /** The caller's signal aborted the call. */
  'Aborted',
  /** An answer that no API server gives, e.g. a proxy's HTML page. */
  'BadAnswer',
] as const;

export type KubeErrorCode = (typeof kubeErrorCodes)[number];

/** One field that the server found wrong. */
export interface FieldProblem {
  field: string;
  message: string;
}

export interface KubeErrorDetails {
  /** HTTP status, or 0 when there was no answer. */
  status?: number;
  /** How long the server asks to wait, in milliseconds. */
  retryAfterMs?: number | undefined;
  fields?: FieldProblem[];
  cause?: unknown;
}

/** A call to the API server that failed. The message begins with the call: `apply deployments prod/triage: …`. */
export class KubeError extends Error {
  override readonly name = 'KubeError';
  readonly code: KubeErrorCode;
  readonly status: number;
  readonly retryAfterMs: number | undefined;
  readonly fields: readonly FieldProblem[];

  constructor(code: KubeErrorCode, message: string, details: KubeErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    this.status = details.status ?? 0;
    this.retryAfterMs = details.retryAfterMs;
    this.fields = details.fields ?? [];
  }
}

/** Whether it is a `KubeError`, with one of these codes where any are given. */
export function isKubeError(error: unknown, ...codes: KubeErrorCode[]): error is KubeError {
  return error instanceof KubeError && (codes.length === 0 || codes.includes(error.code));
}

/** Whether the history that a list or watch wanted to continue from is no longer kept, so that only a new list helps. */
export function isExpired(error: unknown): boolean {
  return isKubeError(error, 'Expired', 'Gone');
}

const transient: readonly KubeErrorCode[] = [
  'ConnectFailed',
  'ConnectionLost',
  'InternalError',
  'ServerTimeout',
  'ServiceUnavailable',
  'TimedOut',
  'Timeout',
  'TooManyRequests',
];

/** Whether the same call may well succeed a little later although nobody changed anything. */
export function isTransient(error: unknown): boolean {
  return isKubeError(error, ...transient);
}

/** metav1.Status as it comes on the wire; every field may be missing. */
interface WireStatus {
  kind?: string;
  message?: string;
  reason?: string;
  code?: number;
  details?: {
    retryAfterSeconds?: number;
    causes?: { field?: string; message?: string }[];
  };
}

const reasonOfStatus: Record<number, KubeErrorCode> = {
  400: 'BadRequest',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'NotFound',
  405: 'MethodNotAllowed',
  406: 'NotAcceptable',
  409: 'Conflict',
  410: 'Gone',
  413: 'RequestEntityTooLarge',
  415: 'UnsupportedMediaType',
  422: 'Invalid',
  429: 'TooManyRequests',
  500: 'InternalError',
  502: 'ServiceUnavailable',
  503: 'ServiceUnavailable',
  504: 'Timeout',
};

/**
 * The error for an answer that is not 2xx. `call` says what was asked. `retryAfter` is the header of that name, in seconds.
 */
export function errorOfAnswer(call: string, httpStatus: number, body: string, retryAfter?: string): KubeError {
  const status = parseStatus(body);
  if (status) return errorOfStatus(call, status, httpStatus, retryAfter);
  const code = httpStatus >= 400 ? (reasonOfStatus[httpStatus] ?? 'BadAnswer') : 'BadAnswer';
  const text = body.trim().slice(0, 200);
  return new KubeError(code, `${call}: HTTP ${httpStatus}${text ? `: ${text}` : ''}`, {
    status: httpStatus,
    retryAfterMs: milliseconds(retryAfter),
  });
}

/** The error for a metav1.Status, which is also what a watch's ERROR event carries. */
export function errorOfStatus(call: string, object: unknown, httpStatus?: number, retryAfter?: string): KubeError {
  const status = object as WireStatus;
  const number = httpStatus ?? status.code ?? 0;
  const message = status.message ?? `HTTP ${number}`;
  const { retryAfterSeconds, causes } = status.details ?? {};
  return new KubeError(codeOf(status, number), `${call}: ${message}`, {
    status: number,
    retryAfterMs: milliseconds(retryAfter ?? retryAfterSeconds),
    fields: (causes ?? []).flatMap(({ field, message: problem }) =>
      field === undefined ? [] : [{ field, message: problem ?? '' }],
    ),
  });
}

function codeOf(status: WireStatus, httpStatus: number): KubeErrorCode {
  // kube-apiserver answers a field that the schema lacks with 500 and no reason when it is in an applied object (seen with
  // 1.37); it is the object that is wrong, and asking again does not help.
  if (httpStatus === 500 && status.message?.startsWith('failed to create typed patch object')) return 'Invalid';
  const reason = kubeErrorCodes.find((code) => code === status.reason);
  return reason ?? reasonOfStatus[httpStatus] ?? 'BadAnswer';
}

function parseStatus(body: string): WireStatus | undefined {
  try {
    const parsed = JSON.parse(body) as WireStatus | null;
    return parsed?.kind === 'Status' ? parsed : undefined;
  } catch {
    return undefined;
  }
}

function milliseconds(seconds: string | number | undefined): number | undefined {
  const value = Number(seconds);
  return seconds !== undefined && Number.isFinite(value) && value >= 0 ? value * 1000 : undefined;
}
