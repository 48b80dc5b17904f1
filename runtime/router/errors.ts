/** The body of an error answer, in the shape that OpenAI documents and its clients read. */
export interface ErrorBody {
  error: { message: string; type: string; param: string | null; code: string | null };
}

export interface ApiErrorDetails {
  /** The field of the request that is wrong. */
  param?: string;
  /** Seconds after which trying again makes sense: becomes `retry-after`. */
  retryAfterSeconds?: number;
  /** The connection can't carry another request: its body was not read to the end. */
  close?: boolean;
  /** Further headers of the answer. */
  headers?: Readonly<Record<string, string>>;
}

/** Upstreams' own words may be of any length; what is shown, and logged, is not. In characters. */
const longestMessage = 8_192;
const longestWord = 256;

/** Ends a request with an answer that its client can read: a status, a stable code and what to do. */
export class ApiError extends Error {
  override readonly name = 'ApiError';
  readonly status: number;
  readonly code: string;
  readonly details: ApiErrorDetails;

  constructor(status: number, code: string, message: string, details: ApiErrorDetails = {}) {
    super(shortened(message, longestMessage));
    this.status = status;
    this.code = shortened(code, longestWord);
    this.details = details;
  }

  /** The error as it is answered. */
  body(): ErrorBody {
    const { param } = this.details;
    return {
      error: {
        message: this.message,
        type: typeOf(this.status),
        param: param === undefined ? null : shortened(param, longestWord),
        code: this.code,
      },
    };
  }
}

function shortened(text: string, most: number): string {
  return text.length > most ? `${text.slice(0, most)}…` : text;
}

function typeOf(status: number): string {
  if (status === 401) return 'authentication_error';
  if (status === 429) return 'rate_limit_error';
  return status < 500 ? 'invalid_request_error' : 'server_error';
}
