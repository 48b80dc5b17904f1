import { ApiError } from '../errors.ts';
import type { Failure } from './failure.ts';

/** What a client asks for has no counterpart in a backend's dialect. Another backend may have one. */
export class NotTranslatable extends Error {
  override readonly name = 'NotTranslatable';
  readonly param: string;

  /** `message` says what can't be had, and what to do. */
  constructor(param: string, message: string) {
    super(message);
    this.param = param;
  }

  /** The attempt's failure: other backends are asked, and where there are none the client gets a 400 that it can cure. */
  failure(backend: string): Failure {
    const message = `backend "${backend}" can't be asked so: ${this.message}`;
    const error = new ApiError(400, 'unsupported_parameter', message, { param: this.param });
    return { reason: 'NotServed', retry: 'Backend', error };
  }
}
