import { ApiError } from '../errors.ts';

/** Why an attempt came to nothing; a value of the metrics' `outcome` label. */
export type FailureReason =
  | 'NoEndpoint'
  | 'Unavailable'
  | 'QueueFull'
  | 'QueueTimeout'
  | 'ConnectFailed'
  | 'Reset'
  | 'Timeout'
  | 'Overloaded'
  | 'ServerError'
  | 'Interrupted'
  | 'InvalidAnswer'
  | 'InvalidOutput'
  | 'LowConfidence'
  | 'Outrun'
  | 'RateLimited'
  | 'Refused'
  | 'Redirected'
  | 'NotServed'
  | 'AddressRefused'
  | 'BadRequest'
  | 'ClientGone';

/** What became of an attempt that gave no answer. */
export interface Failure {
  reason: FailureReason;
  /**
   * Who may do better: another endpoint of the same backend, another backend, or nobody, as the request itself is at
   * fault or its time is over.
   */
  retry: 'Endpoint' | 'Backend' | 'Nowhere';
  /** What the client is told when nobody does better. */
  error: ApiError;
  /** What the log says in place of `error` where that has the backend's own words: they may repeat a prompt or an answer. */
  why?: string;
}

/** Nothing answers there, or not any more. */
const connectCodes = new Set([
  'ECONNREFUSED',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'EADDRNOTAVAIL',
  'ETIMEDOUT',
  'ENOTFOUND',
  'EAI_AGAIN',
  'UND_ERR_CONNECT_TIMEOUT',
  'UND_ERR_CLOSED',
  'UND_ERR_DESTROYED',
]);

/** The connection ended before the answer did. */
const resetCodes = new Set(['ECONNRESET', 'EPIPE', 'UND_ERR_SOCKET', 'UND_ERR_RES_CONTENT_LENGTH_MISMATCH']);

/** What a connection's error means. `code` is that of Node, of undici, or of our own connector. */
export function connectionFailure(backend: string, error: Error & { code?: string }): Failure {
  const code = error.code ?? '';
  if (code === 'AddressRefused') {
    // The author of the policy sees the address in the router's log; a client has no use for it.
    return {
      reason: 'AddressRefused',
      retry: 'Backend',
      error: badGateway(backend, 'may not be called at its address'),
    };
  }
  if (connectCodes.has(code)) {
    return { reason: 'ConnectFailed', retry: 'Endpoint', error: badGateway(backend, 'cannot be reached') };
  }
  if (resetCodes.has(code)) {
    return {
      reason: 'Reset',
      retry: 'Endpoint',
      error: badGateway(backend, 'closed the connection before it answered'),
    };
  }
  if (/TLS|SSL|CERT|SIGNATURE/.test(code)) {
    return {
      reason: 'ConnectFailed',
      retry: 'Backend',
      error: badGateway(backend, `failed the TLS handshake (${code})`),
    };
  }
  return { reason: 'InvalidAnswer', retry: 'Endpoint', error: badGateway(backend, 'sent an answer that is not HTTP') };
}

/** 502 with a message that begins with the backend's name in the policy. */
export function badGateway(backend: string, what: string): ApiError {
  return new ApiError(502, 'backend_failed', `backend "${backend}" ${what}`);
}

/** The answer is not what the dialect says it is. */
export function invalidAnswer(backend: string, what: string): Failure {
  return { reason: 'InvalidAnswer', retry: 'Endpoint', error: badGateway(backend, what) };
}

/** The engine stopped before the answer was complete. */
export function interrupted(backend: string): Failure {
  return {
    reason: 'Interrupted',
    retry: 'Endpoint',
    error: badGateway(backend, 'stopped before the answer was complete'),
  };
}

/** What one of the route's deadlines means: after the last, `total`, nobody else is asked. */
export function timedOut(backend: string, which: 'firstByte' | 'idle' | 'total', ms: number): Failure {
  const what = {
    firstByte: `did not begin to answer within ${ms} ms (timeouts.firstByte)`,
    idle: `sent nothing for ${ms} ms (timeouts.idle)`,
    total: `did not finish within ${ms} ms (timeouts.total)`,
  }[which];
  const error = new ApiError(504, 'backend_timeout', `backend "${backend}" ${what}`);
  return { reason: 'Timeout', retry: which === 'total' ? 'Nowhere' : 'Endpoint', error };
}

/** No endpoint of a model is ready: its pods are starting, or gone. */
export function noEndpoint(backend: string): Failure {
  const error = new ApiError(503, 'no_endpoint', `backend "${backend}" has no ready endpoint`, {
    retryAfterSeconds: 5,
  });
  return { reason: 'NoEndpoint', retry: 'Backend', error };
}

/** The operator could not find what the policy names; `reason` is that of the policy's condition. */
export function unavailable(backend: string, reason: string): Failure {
  const error = new ApiError(503, 'backend_unavailable', `backend "${backend}" can't be called: ${reason}`);
  return { reason: 'Unavailable', retry: 'Backend', error };
}

/** The answer is none of the labels that the policy allows. */
export function invalidOutput(backend: string, cut: boolean): Failure {
  const why = cut ? ', as it was cut at the token limit: ask for more tokens' : '';
  const error = new ApiError(
    502,
    'invalid_output',
    `the answer of backend "${backend}" is none of the model's labels${why}`,
  );
  return { reason: 'InvalidOutput', retry: 'Backend', error };
}

/** The answer is not what the policy's JSON schema says. */
export function invalidDocument(backend: string, problem: string): Failure {
  const error = new ApiError(502, 'invalid_output', `the answer of backend "${backend}" ${problem}`);
  return { reason: 'InvalidOutput', retry: 'Backend', error };
}

/** What there is of the answer is enough to know that it is not trusted, and somebody else will be asked. */
export function distrusted(backend: string): Failure {
  const error = new ApiError(502, 'backend_failed', `backend "${backend}" was not sure enough of its answer`);
  return { reason: 'LowConfidence', retry: 'Backend', error };
}

/** A model's classes are not the policy's labels. */
export function otherLabels(backend: string, what: string): Failure {
  const error = new ApiError(502, 'invalid_output', `the model of backend "${backend}" ${what}`);
  return { reason: 'InvalidOutput', retry: 'Backend', error };
}

/** The failure without a secret that the backend may have repeated in its words. */
export function withoutSecret(failure: Failure, secret: string): Failure {
  const { status, code, message, details } = failure.error;
  const { param } = details;
  if (![code, message, param].some((text) => text?.includes(secret))) return failure;
  const hide = (text: string): string => text.replaceAll(secret, '[hidden]');
  const hidden = param === undefined ? details : { ...details, param: hide(param) };
  return { ...failure, error: new ApiError(status, hide(code), hide(message), hidden) };
}

/** A model that writes text was asked for a label, and the policy has none to hold it to. */
export function notAClassifier(backend: string): Failure {
  return { reason: 'NotServed', retry: 'Backend', error: badGateway(backend, 'has no labels to answer with') };
}

/** Nobody waits for the answer any more. */
export const clientGone: Failure = {
  reason: 'ClientGone',
  retry: 'Nowhere',
  error: new ApiError(499, 'client_gone', 'the client left before the answer was complete'),
};

/** Another attempt, which was made beside this one, began its answer first. */
export const outrun: Failure = {
  reason: 'Outrun',
  retry: 'Endpoint',
  error: new ApiError(502, 'backend_failed', 'another attempt was faster'),
};
